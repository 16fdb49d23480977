"""Proofs that travel with a version: tests, scan, smoke run, reproduction, SBOM, advisories.

Each is tried here and kept as evidence (``ground/evidence.py``); the gate, the checklist and the
ML Test Score read it. Read first: :mod:`suites` (the project's own tests), :mod:`scanning` (a
package is looked through without being loaded), :mod:`reproducing` (its run is done again).
"""
