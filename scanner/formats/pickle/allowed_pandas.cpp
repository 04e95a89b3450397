// What pickled DataFrames, Series and Index objects are made of (pandas 0.25 to 3).
#include "scanner/formats/pickle/names.hpp"

#include <array>

namespace hubgate::pickle {
namespace {

constexpr std::array k_allowed{
    Allowed{"pandas.core.frame", "DataFrame", Use::object},
    // pandas 3 names its public classes by the public module.
    Allowed{
        "pandas",
        "DataFrame Series Index MultiIndex RangeIndex CategoricalIndex DatetimeIndex "
        "TimedeltaIndex PeriodIndex IntervalIndex Timestamp Timedelta Period Interval Categorical "
        "NaT NA Flags BooleanDtype CategoricalDtype DatetimeTZDtype PeriodDtype IntervalDtype "
        "SparseDtype StringDtype ArrowDtype Int8Dtype Int16Dtype Int32Dtype Int64Dtype "
        "UInt8Dtype UInt16Dtype UInt32Dtype UInt64Dtype Float32Dtype Float64Dtype",
        Use::object},
    Allowed{"pandas.arrays",
            "BooleanArray DatetimeArray TimedeltaArray PeriodArray IntervalArray IntegerArray "
            "FloatingArray SparseArray StringArray ArrowStringArray ArrowExtensionArray "
            "NumpyExtensionArray Categorical",
            Use::object},
    Allowed{"pandas._libs.sparse", "IntIndex BlockIndex", Use::object},
    Allowed{"pandas.core.series", "Series", Use::object},
    Allowed{"pandas.core.internals.managers", "BlockManager SingleBlockManager", Use::object},
    Allowed{"pandas.core.internals", "BlockManager SingleBlockManager", Use::object},
    Allowed{"pandas._libs.internals", "_unpickle_block BlockManager BlockPlacement", Use::object},
    Allowed{"pandas.core.internals.blocks",
            "new_block Block ObjectBlock NumericBlock ExtensionBlock DatetimeLikeBlock "
            "CategoricalBlock FloatBlock IntBlock BoolBlock",
            Use::object},
    Allowed{"pandas.core.indexes.base", "_new_Index Index", Use::value},
    Allowed{"pandas.core.indexes.range", "RangeIndex", Use::object},
    Allowed{"pandas.core.indexes.multi", "MultiIndex", Use::object},
    Allowed{"pandas.core.indexes.numeric", "Int64Index UInt64Index Float64Index", Use::object},
    Allowed{"pandas.core.indexes.category", "CategoricalIndex", Use::object},
    Allowed{"pandas.core.indexes.datetimes", "DatetimeIndex _new_DatetimeIndex", Use::value},
    Allowed{"pandas.core.indexes.timedeltas", "TimedeltaIndex _new_TimedeltaIndex", Use::value},
    Allowed{"pandas.core.indexes.period", "PeriodIndex _new_PeriodIndex", Use::value},
    Allowed{"pandas.core.indexes.interval", "IntervalIndex _new_IntervalIndex", Use::value},
    Allowed{"pandas.core.indexes.frozen", "FrozenList", Use::object},
    Allowed{"pandas.core.arrays.categorical", "Categorical", Use::object},
    Allowed{"pandas.core.arrays.datetimes", "DatetimeArray", Use::object},
    Allowed{"pandas.core.arrays.timedeltas", "TimedeltaArray", Use::object},
    Allowed{"pandas.core.arrays.period", "PeriodArray", Use::object},
    Allowed{"pandas.core.arrays.interval", "IntervalArray", Use::object},
    Allowed{"pandas.core.arrays.integer",
            "IntegerArray Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype "
            "UInt32Dtype UInt64Dtype",
            Use::object},
    Allowed{"pandas.core.arrays.floating", "FloatingArray Float32Dtype Float64Dtype", Use::object},
    Allowed{"pandas.core.arrays.boolean", "BooleanArray BooleanDtype", Use::object},
    Allowed{"pandas.core.arrays.string_", "StringArray StringDtype", Use::object},
    Allowed{"pandas.core.arrays.string_arrow", "ArrowStringArray ArrowStringArrayNumpySemantics",
            Use::object},
    Allowed{"pandas.core.arrays.numpy_", "PandasArray NumpyExtensionArray", Use::object},
    Allowed{"pandas.core.arrays.sparse.array", "SparseArray", Use::object},
    Allowed{"pandas.core.arrays.sparse.dtype", "SparseDtype", Use::object},
    Allowed{"pandas.core.dtypes.dtypes",
            "CategoricalDtype DatetimeTZDtype PeriodDtype IntervalDtype SparseDtype ArrowDtype "
            "PandasDtype NumpyEADtype",
            Use::object},
    Allowed{"pandas.core.flags", "Flags", Use::object},
    Allowed{"pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked NDArrayBacked", Use::object},
    Allowed{"pandas._libs.tslibs.timestamps", "_unpickle_timestamp Timestamp", Use::value},
    Allowed{"pandas._libs.tslibs.timedeltas", "_timedelta_unpickle Timedelta", Use::value},
    Allowed{"pandas._libs.tslibs.nattype", "_nat_unpickle NaTType", Use::value},
    Allowed{"pandas._libs.tslibs.period", "Period", Use::object},
    Allowed{"pandas._libs.interval", "Interval", Use::object},
    Allowed{"pandas._libs.missing", "NAType NA C_NA", Use::value},
    Allowed{"pandas._libs.tslibs.offsets",
            "Day Hour Minute Second Milli Micro Nano MonthEnd MonthBegin QuarterEnd QuarterBegin "
            "YearEnd YearBegin Week BusinessDay BDay BusinessMonthEnd DateOffset "
            "__pyx_unpickle_BaseOffset",
            Use::object},
    Allowed{"pytz", "_UTC _p", Use::value},
    Allowed{"pytz.tzinfo", "_unpickler", Use::value},
    Allowed{"dateutil.tz.tz", "tzutc tzlocal", Use::object},
    Allowed{"pyarrow.lib", "type_for_alias _restore_array py_buffer chunked_array DataType",
            Use::value},
};

} // namespace

std::span<const Allowed> allowed_pandas() {
  return k_allowed;
}

} // namespace hubgate::pickle
