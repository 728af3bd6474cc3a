"""Names: Python's, as the Dart that a Flutter developer would have written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


RESERVED = _set(
    "assert async await break case catch class const continue default do else enum extends "
    "false final finally for if in is new null rethrow return super switch this throw true "
    "try var void while with yield"
)
"""Words that name nothing in Dart (async, await and yield: not everywhere)."""
BUILT_IN = _set(
    "abstract as covariant deferred dynamic export extension external factory Function get "
    "implements import interface late library mixin operator part required set static typedef"
)
"""Words that may name members but no types."""
CORE = _set(
    "BigInt Comparable DateTime Deprecated Duration Enum Error Exception Function Future "
    "FutureOr Invocation Iterable Iterator List Map MapEntry Match Never Null Object Pattern "
    "Record RegExp RuneIterator Runes Set Sink StackTrace StateError Stopwatch Stream String "
    "StringBuffer StringSink Symbol Type Uint8List UnimplementedError Uri bool double int num "
    "override deprecated print identical Timer Completer Zone"
)
"""Types of dart:core and dart:async that apps use: no type of ours may hide one."""
RUNTIME = _set(
    "Absent AdapterException ApiException CallMetadata CallOptions CallState CallStatus "
    "CallTimeoutException CancelToken CancelledException Cardinality Code ConnectionException "
    "ContractCheck DecodeException Decoder DType Err FieldViolation FileData FormField FormKind "
    "FutureResult HttpAdapter InvalidRequestException JsonMap MessageSocket Method "
    "MothlightException Ok Operation Optional OverloadedException Present Problem RawRequest "
    "RawResponse Result ServiceContract StreamState SupersedeKey SupersededException Tensor "
    "Tensors Timing TokenSource Transport UnauthenticatedException"
)
"""What package:mothlight exports, generated.dart included."""
FLUTTER = _set(
    "Action Actions Align Alignment Animation AppBar AsyncSnapshot Autocomplete Axis Badge Banner "
    "Baseline Border BorderRadius BoxConstraints BoxDecoration BoxFit Brightness BuildContext "
    "Builder ButtonStyle Canvas Card Category Center ChangeNotifier Characters Checkbox Chip Clip "
    "Color ColorScheme Colors Column ConnectionState Container Curve Curves DataCell DataColumn "
    "DataRow DataTable DateTimeRange Decoration Dialog Divider Draggable Drawer EdgeInsets Element "
    "Expanded Factory Feedback Flex Flexible Flow Focus FocusNode FontStyle FontWeight Form "
    "FormField FutureBuilder GlobalKey Gradient GridView Hero Icon IconButton IconData Icons Image "
    "ImageInfo ImageProvider Ink InkWell Intent Interval Key LayoutBuilder ListTile ListView "
    "Listenable Listener Locale Localizations Material MaterialApp MediaQuery MetaData Navigator "
    "Notification Offset Opacity Orientation Overlay Padding Page PageView Paint Path Placeholder "
    "Positioned Radio Radius Rect Route Router Row Scaffold SearchBar Semantics Shader Shadow "
    "Simulation Size SizedBox Slider SnackBar Spacer Split Stack State StatefulWidget "
    "StatelessWidget Step Stepper StreamBuilder Summary Switch Tab TabBar Table TableCell TableRow "
    "TargetPlatform Text TextAlign TextBox TextButton TextDirection TextField TextPosition "
    "TextRange TextSelection TextSpan TextStyle TextTheme Texture Theme ThemeData ThemeMode "
    "Threshold TimeOfDay Title Tolerance Tooltip Transform Tween Typography ValueKey ValueNotifier "
    "Velocity View Viewport Visibility Widget Wrap"
)
"""Of Flutter's names (its libraries material, widgets, painting and foundation) those that a file
of an app uses, or that a message may well have: an app's screen imports both."""
FUNCTIONS = _set(
    "absent deepEquals deepHash listOf mapOf nullable readAny readBool readBytes readDate "
    "readDateTime readDuration readFile readFloat readInt readNothing readString writeBytes "
    "writeDate writeDateTime writeDuration writeFloat misfit"
)
"""Functions of the runtime that members of generated classes call."""
OBJECT = _set("hashCode noSuchMethod runtimeType toString bool double dynamic int num override")
"""Members of every object, and types and marks that a member of their name would hide."""
MESSAGE = RESERVED | OBJECT | FUNCTIONS | {"copyWith", "fromJson", "toJson"}
ENUM = RESERVED | OBJECT | {"fromJson", "index", "name", "toJson", "unknown", "values", "wire"}
ERROR = (
    RESERVED
    | OBJECT
    | FUNCTIONS
    | {"callId", "code", "hint", "isTransient", "message", "problem", "retryAfter", "status"}
    | {"type"}
)
METHOD = RESERVED | OBJECT | FUNCTIONS | {"contract", "operator"}
PARAMETER = RESERVED | BUILT_IN | FUNCTIONS | {"options"}


_LATIN = str.maketrans(
    {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O"}
    | {"ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i"}
)
"""Letters that are not an ASCII one with a mark, as one writes them without."""


def words(name: str) -> list[str]:
    """The words of a name, in ASCII: ``top_k``, ``topK`` and ``Top-K`` are all two."""
    plain = ""
    for char in unicodedata.normalize("NFKD", name.translate(_LATIN)):
        if char.isascii():
            plain += char
        elif char.isalnum() or char.isidentifier():
            plain += f" u{ord(char):x} "
    plain = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", plain)
    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", plain)
    return re.findall(r"[A-Za-z0-9]+", plain)


def lower_camel(name: str, fallback: str = "value") -> str:
    """``top_k`` as ``topK``."""
    found = words(name)
    if not found:
        return fallback
    out = found[0].lower() + "".join(word[0].upper() + word[1:].lower() for word in found[1:])
    return out if out[0].isalpha() else fallback + out


def upper_camel(name: str, fallback: str = "Value") -> str:
    """``image_tagger`` as ``ImageTagger``; what is such a name already stays as it is."""
    if re.fullmatch(r"[A-Z][A-Za-z0-9]*", name):
        return name
    found = words(name)
    if not found:
        return fallback
    out = "".join(word[0].upper() + word[1:] for word in found)
    return out if out[0].isalpha() else fallback + out


def snake(name: str) -> str:
    """``ImageTagger`` as ``image_tagger``."""
    return "_".join(words(name)).lower()


class Scope:
    """Names that are taken. A name that is gets ``mark`` behind it, and then numbers."""

    def __init__(self, taken: Iterable[str] = (), mark: str = "_") -> None:
        self.taken, self.mark = set(taken), mark

    def claim(self, wanted: str, mark: str = "") -> str:
        """The name, or one like it that is free."""
        name, mark = wanted, mark or self.mark
        if name in self.taken:
            name = wanted + mark
        number = 2
        while name in self.taken:
            name, number = f"{wanted}{mark}{number}", number + 1
        self.taken.add(name)
        return name


TYPES = RESERVED | BUILT_IN | CORE | RUNTIME | FLUTTER
