// What honest pickles use of NumPy and SciPy, under the module paths of their old and new versions.
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::string_view k_scalars =
    "bool_ bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc intp uintc uintp longlong "
    "ulonglong int_ uint long ulong half float16 float32 float64 float_ single double longdouble "
    "float128 float96 complex64 complex128 complex256 complex_ csingle cdouble clongdouble str_ "
    "bytes_ string_ unicode_ void object_ datetime64 timedelta64 generic number integer "
    "signedinteger unsignedinteger inexact floating complexfloating flexible character byte ubyte "
    "short ushort";

/// Named in the state of transformers (FunctionTransformer, kernels, scorers): plain arithmetic.
constexpr std::string_view k_functions =
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil conjugate cos "
    "cosh deg2rad degrees divide equal exp exp2 expm1 fabs floor floor_divide fmax fmin fmod "
    "greater greater_equal hypot invert isfinite isinf isnan less less_equal log log10 log1p log2 "
    "logaddexp logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum mod "
    "multiply negative not_equal positive power rad2deg radians reciprocal remainder rint sign "
    "sin sinh sqrt square subtract tan tanh true_divide trunc mean median std var average "
    "nanmean nanmedian nanstd sum nansum amin amax argmax argmin argsort ravel reshape squeeze "
    "ones zeros full array asarray nan_to_num clip cumsum round";

constexpr std::array k_allowed{
    Allowed{"numpy.core.multiarray", "_reconstruct", Use::reconstruct},
    Allowed{"numpy._core.multiarray", "_reconstruct", Use::reconstruct},
    Allowed{"numpy.core.multiarray", "scalar", Use::value},
    Allowed{"numpy._core.multiarray", "scalar", Use::value},
    Allowed{"numpy.core.numeric", "_frombuffer", Use::value},
    Allowed{"numpy._core.numeric", "_frombuffer", Use::value},
    Allowed{"numpy", "ndarray dtype matrix", Use::object},
    Allowed{"numpy", k_scalars, Use::value},
    Allowed{"numpy", k_functions, Use::reference},
    Allowed{"numpy.core._multiarray_umath", k_functions, Use::reference},
    Allowed{"numpy._core._multiarray_umath", k_functions, Use::reference},
    Allowed{"numpy.core.umath", k_functions, Use::reference},
    Allowed{"numpy._core.umath", k_functions, Use::reference},
    Allowed{"numpy.core.fromnumeric", k_functions, Use::reference},
    Allowed{"numpy._core.fromnumeric", k_functions, Use::reference},
    Allowed{"numpy.core._internal", "_convert_to_stringdtype_kwargs", Use::value},
    Allowed{"numpy._core._internal", "_convert_to_stringdtype_kwargs", Use::value},
    Allowed{"numpy.dtypes",
            "BoolDType Int8DType Int16DType Int32DType Int64DType UInt8DType UInt16DType "
            "UInt32DType UInt64DType Float16DType Float32DType Float64DType LongDoubleDType "
            "Complex64DType Complex128DType CLongDoubleDType ObjectDType BytesDType StrDType "
            "VoidDType DateTime64DType TimeDelta64DType LongLongDType ULongLongDType IntDType "
            "UIntDType LongDType ULongDType ByteDType UByteDType ShortDType UShortDType "
            "StringDType",
            Use::object},
    Allowed{"numpy.random._pickle", "__randomstate_ctor __generator_ctor __bit_generator_ctor",
            Use::value},
    Allowed{"numpy.random", "__RandomState_ctor", Use::value},
    Allowed{"numpy.random.mtrand", "RandomState", Use::object},
    Allowed{"numpy.random._generator", "Generator", Use::object},
    Allowed{"numpy.random._mt19937", "MT19937", Use::object},
    Allowed{"numpy.random._pcg64", "PCG64 PCG64DXSM", Use::object},
    Allowed{"numpy.random._philox", "Philox", Use::object},
    Allowed{"numpy.random._sfc64", "SFC64", Use::object},
    Allowed{"numpy.random.bit_generator",
            "SeedSequence SeedlessSeedSequence __pyx_unpickle_SeedSequence", Use::object},
    Allowed{"numpy.ma.core", "_mareconstruct", Use::reconstruct},
    Allowed{"numpy.ma.core", "MaskedArray MaskedConstant", Use::object},
    Allowed{"numpy.ma", "MaskedArray", Use::object},
    Allowed{"numpy.matrixlib.defmatrix", "matrix", Use::object},
    Allowed{"numpy.core.records", "recarray record", Use::object},
    Allowed{"numpy.rec", "recarray record", Use::object},
    Allowed{"numpy", "recarray record", Use::object},
    Allowed{"numpy.polynomial.polynomial", "Polynomial", Use::object},
    Allowed{"numpy.lib.polynomial", "poly1d", Use::object},

    Allowed{"scipy.sparse.csr", "csr_matrix", Use::object},
    Allowed{"scipy.sparse.csc", "csc_matrix", Use::object},
    Allowed{"scipy.sparse.coo", "coo_matrix", Use::object},
    Allowed{"scipy.sparse.lil", "lil_matrix", Use::object},
    Allowed{"scipy.sparse.dok", "dok_matrix", Use::object},
    Allowed{"scipy.sparse.dia", "dia_matrix", Use::object},
    Allowed{"scipy.sparse.bsr", "bsr_matrix", Use::object},
    Allowed{"scipy.sparse._csr", "csr_matrix csr_array", Use::object},
    Allowed{"scipy.sparse._csc", "csc_matrix csc_array", Use::object},
    Allowed{"scipy.sparse._coo", "coo_matrix coo_array", Use::object},
    Allowed{"scipy.sparse._lil", "lil_matrix lil_array", Use::object},
    Allowed{"scipy.sparse._dok", "dok_matrix dok_array", Use::object},
    Allowed{"scipy.sparse._dia", "dia_matrix dia_array", Use::object},
    Allowed{"scipy.sparse._bsr", "bsr_matrix bsr_array", Use::object},
    Allowed{"scipy.sparse._arrays",
            "csr_array csc_array coo_array lil_array dok_array dia_array bsr_array", Use::object},
    Allowed{"scipy.interpolate._bsplines", "BSpline", Use::object},
    Allowed{"scipy.interpolate._interpolate", "interp1d PPoly", Use::object},
    Allowed{"scipy.interpolate.interpolate", "interp1d PPoly", Use::object},
    Allowed{"scipy.spatial._ckdtree", "cKDTree", Use::object},
    Allowed{"scipy.spatial.ckdtree", "cKDTree", Use::object},
    Allowed{"scipy.spatial._kdtree", "KDTree", Use::object},
    Allowed{"scipy.special._ufuncs", "expit logit gammaln psi erf erfinv", Use::reference},
    Allowed{"scipy.optimize._optimize", "OptimizeResult", Use::object},
    Allowed{"scipy.optimize.optimize", "OptimizeResult", Use::object},
    Allowed{"scipy._lib.array_api_compat.numpy._aliases", "asarray", Use::reference},
    Allowed{"scipy.special._legacy", "expit", Use::reference},
};

} // namespace

std::span<const Allowed> allowed_numpy() {
  return k_allowed;
}

} // namespace hubgate::pickle
