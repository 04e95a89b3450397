#include "scanner/formats/pytorch/storage.hpp"

#include <algorithm>
#include <array>

namespace hubgate::pytorch {
namespace {

using pickle::Kind;
using pickle::View;

struct Sized {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<Sized, 58> k_sizes{{
    {"DoubleStorage", 8},
    {"FloatStorage", 4},
    {"HalfStorage", 2},
    {"BFloat16Storage", 2},
    {"LongStorage", 8},
    {"IntStorage", 4},
    {"ShortStorage", 2},
    {"CharStorage", 1},
    {"ByteStorage", 1},
    {"BoolStorage", 1},
    {"ComplexDoubleStorage", 16},
    {"ComplexFloatStorage", 8},
    {"QUInt8Storage", 1},
    {"QInt8Storage", 1},
    {"QInt32Storage", 4},
    {"QUInt4x2Storage", 1},
    {"QUInt2x4Storage", 1},
    {"UntypedStorage", 1},
    {"float64", 8},
    {"double", 8},
    {"float32", 4},
    {"float", 4},
    {"float16", 2},
    {"half", 2},
    {"bfloat16", 2},
    {"int64", 8},
    {"long", 8},
    {"int32", 4},
    {"int", 4},
    {"int16", 2},
    {"short", 2},
    {"int8", 1},
    {"uint8", 1},
    {"uint16", 2},
    {"uint32", 4},
    {"uint64", 8},
    {"bool", 1},
    {"complex32", 4},
    {"chalf", 4},
    {"complex64", 8},
    {"cfloat", 8},
    {"complex128", 16},
    {"cdouble", 16},
    {"quint8", 1},
    {"qint8", 1},
    {"qint32", 4},
    {"quint4x2", 1},
    {"quint2x4", 1},
    {"float8_e4m3fn", 1},
    {"float8_e4m3fnuz", 1},
    {"float8_e5m2", 1},
    {"float8_e5m2fnuz", 1},
    {"float8_e8m0fnu", 1},
    {"float4_e2m1fn_x2", 1},
    {"bits8", 1},
    {"bits16", 2},
    {"bits1x8", 1},
    {"bits4x2", 1},
}};

} // namespace

std::optional<std::uint64_t> Storage::bytes() const {
  std::uint64_t out = 0;
  if (item_size == 0 || __builtin_mul_overflow(elements, item_size, &out)) return std::nullopt;
  return out;
}

std::uint64_t item_size_of(std::string_view name) {
  for (const std::string_view prefix: {"torch.storage.", "torch.cuda.", "torch."}) {
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    const auto at = std::find_if(k_sizes.begin(), k_sizes.end(),
                                 [&](const Sized& sized) { return sized.name == name; });
    return at == k_sizes.end() ? 0 : at->size;
  }
  return 0;
}

// ("storage", class, key, location, elements), and a view in old files.
bool StorageObserver::on_persistent_id(const View& id, std::uint64_t offset) {
  if (id.kind() != Kind::tuple || id.size() < 5 || id.item(0).text() != "storage") return false;
  const auto key = id.item(2).text();
  const auto elements = id.item(4).integer();
  if (!key || !elements || *elements < 0) return false;
  Storage storage;
  storage.elements = static_cast<std::uint64_t>(*elements);
  storage.type = id.item(1).name();
  storage.item_size = item_size_of(storage.type);
  storage.offset = offset;
  const auto [at, added] = storages_.emplace(*key, storage);
  if (!added && at->second.bytes() != storage.bytes()) at->second.conflicting = true;
  return false;
}

} // namespace hubgate::pytorch
