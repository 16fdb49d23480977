"""Imported last by the fork server: what is loaded by then is no project's."""

from mainspring.pipelines import project

project.settle()
