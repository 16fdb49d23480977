"""What steps hand on: kept as objects by the type of the value, and given back as it was.

Read first: :mod:`keeping` (which form a value takes), then :mod:`frames` (tables, larger than
memory too), :mod:`files` (files and folders) and :mod:`pickled` (the last resort, and who may
read it).
"""

from mainspring.pipelines.outputs.files import scan as scan
from mainspring.pipelines.outputs.forms import Bytes as Bytes
from mainspring.pipelines.outputs.forms import Codec as Codec
from mainspring.pipelines.outputs.forms import Form as Form
from mainspring.pipelines.outputs.forms import Stored as Stored
from mainspring.pipelines.outputs.frames import is_frame as is_frame
from mainspring.pipelines.outputs.keeping import FORMAT as FORMAT
from mainspring.pipelines.outputs.keeping import decode as decode
from mainspring.pipelines.outputs.keeping import encode as encode
from mainspring.pipelines.outputs.keeping import register as register
from mainspring.pipelines.outputs.keeping import usable as usable
from mainspring.pipelines.outputs.numbers import is_array as is_array
