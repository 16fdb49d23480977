"""Imported after what steps need besides: none of it is a project's."""

from mainspring.pipelines import project

project.settle()
