"""The refusals of the numerics, all of them ValueErrors.

::

    NumericsError (ValueError)
    |- BinsDifferError     two counts do not share their bins
    |- ShapesDifferError   arrays that belong together have different lengths or widths
    |- OneClassError       a measure that needs both classes saw one
    |- OutOfRangeError     a value lies where the method's promise does not hold
    `- TooFewError         too few rows or blocks to say anything
"""


class NumericsError(ValueError):
    """The numbers given do not allow the answer asked for."""


class BinsDifferError(NumericsError):
    """Two histograms can only be compared or merged over the same bins."""


class ShapesDifferError(NumericsError):
    """Arrays that describe the same rows must have the same number of rows."""


class OneClassError(NumericsError):
    """The measure compares two classes, and the labels hold only one."""


class OutOfRangeError(NumericsError):
    """A value lies outside the range for which the method keeps its promise."""


class TooFewError(NumericsError):
    """There are too few observations for the answer to mean anything."""
