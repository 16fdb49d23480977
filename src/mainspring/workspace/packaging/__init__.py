"""Write the folder that an image of a version, or of a pipeline, is built from; and build it.

Read first: ``models.py`` (a version), ``projects.py`` (a pipeline), ``building.py`` (the tools).
"""
