"""Imported after what every call needs: none of it is a project's."""

from mainspring.pipelines import project

project.settle()
