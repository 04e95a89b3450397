// What honest pickles use of Python's own library.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"builtins",
            "set frozenset list dict tuple int float complex bytes bytearray str bool slice range "
            "type Ellipsis NotImplemented NoneType ellipsis long unicode xrange",
            Use::value},
    Allowed{"builtins", "object", Use::base},
    Allowed{"builtins", "getattr", Use::getter},
    Allowed{"builtins",
            "BaseException Exception ArithmeticError AssertionError AttributeError EOFError "
            "FileNotFoundError IndexError KeyError KeyboardInterrupt LookupError MemoryError "
            "NotImplementedError OSError OverflowError RuntimeError StopIteration TypeError "
            "UnicodeDecodeError UserWarning ValueError Warning ZeroDivisionError",
            Use::object},
    // Types that are named in states.
    Allowed{"types", "NoneType EllipsisType NotImplementedType GenericAlias UnionType", Use::value},
    Allowed{"collections", "OrderedDict Counter", Use::ordered_dict},
    Allowed{"collections", "defaultdict", Use::factory},
    Allowed{"collections", "deque", Use::object},
    Allowed{"_codecs", "encode", Use::latin1},
    Allowed{"copyreg", "_reconstructor", Use::reconstructor},
    Allowed{"copyreg", "__newobj__", Use::newobj},
    Allowed{"datetime", "datetime date time timedelta timezone tzinfo", Use::object},
    Allowed{"_datetime", "datetime date time timedelta timezone", Use::object},
    Allowed{"zoneinfo", "ZoneInfo._unpickle ZoneInfo", Use::object},
    Allowed{"decimal", "Decimal", Use::object},
    Allowed{"_decimal", "Decimal", Use::object},
    Allowed{"fractions", "Fraction", Use::object},
    Allowed{"uuid", "UUID SafeUUID", Use::object},
    Allowed{"pathlib", "PosixPath WindowsPath Path PurePath PurePosixPath PureWindowsPath",
            Use::object},
    Allowed{"pathlib._local", "PosixPath WindowsPath Path PurePath PurePosixPath PureWindowsPath",
            Use::object},
    Allowed{"argparse", "Namespace", Use::object},
    Allowed{"types", "SimpleNamespace MappingProxyType", Use::object},
    Allowed{"_io", "BytesIO StringIO", Use::object},
    Allowed{"io", "BytesIO StringIO", Use::object},
    Allowed{"array", "array _array_reconstructor", Use::value},
    Allowed{"re", "_compile", Use::value},
    Allowed{"random", "Random", Use::object},
    Allowed{"ipaddress",
            "IPv4Address IPv6Address IPv4Network IPv6Network IPv4Interface IPv6Interface",
            Use::object},
    Allowed{"math", "log log2 log10 log1p exp expm1 sqrt sin cos tan tanh floor ceil fabs",
            Use::reference},
    Allowed{"time", "struct_time", Use::object},
    Allowed{"joblib.numpy_pickle", "NumpyArrayWrapper", Use::array_wrapper},
    Allowed{"sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper", Use::array_wrapper},
    // Reads a file named by the pickle's own state, which the joblib format checks.
    Allowed{"joblib.numpy_pickle", "ZNDArrayWrapper", Use::object},
    Allowed{"joblib.numpy_pickle_compat", "ZNDArrayWrapper", Use::object},
};

} // namespace

std::span<const Allowed> allowed_python() {
  return k_allowed;
}

} // namespace hubgate::pickle
