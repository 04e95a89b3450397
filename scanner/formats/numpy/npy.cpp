#include "scanner/formats/numpy/npy.hpp"

#include "scanner/core/reader.hpp"

#include <algorithm>
#include <array>

namespace hubgate::numpy {
namespace {

constexpr std::string_view k_magic = "\x93NUMPY";
constexpr std::uint64_t k_max_header = std::uint64_t{1} << 20;
constexpr std::size_t k_max_rank = 64; ///< NPY_MAXDIMS of numpy 2; 32 before

struct Named {
  std::string_view name;
  std::uint64_t size;
};

// Names that np.dtype() takes besides the type codes.
constexpr std::array<Named, 22> k_names{{
    {"bool", 1},        {"int8", 1},     {"uint8", 1},     {"int16", 2},       {"uint16", 2},
    {"int32", 4},       {"uint32", 4},   {"int64", 8},     {"uint64", 8},      {"float16", 2},
    {"float32", 4},     {"float64", 8},  {"complex64", 8}, {"complex128", 16}, {"int", 8},
    {"float", 8},       {"complex", 16}, {"half", 2},      {"single", 4},      {"double", 8},
    {"longdouble", 16}, {"bool_", 1},
}};

std::optional<std::uint64_t> digits(std::string_view text) {
  std::uint64_t out = 0;
  for (const char c: text) {
    if (c < '0' || c > '9' || __builtin_mul_overflow(out, std::uint64_t{10}, &out) ||
        __builtin_add_overflow(out, static_cast<std::uint64_t>(c - '0'), &out))
      return std::nullopt;
  }
  return out;
}

// The product of a shape given as a tuple or as one number.
std::optional<std::uint64_t> product(const Literal& shape) {
  if (shape.kind == Literal::Kind::integer)
    return shape.negative ? std::nullopt : std::optional<std::uint64_t>(shape.integer);
  if (shape.kind != Literal::Kind::tuple || shape.items.size() > k_max_rank) return std::nullopt;
  std::uint64_t out = 1;
  for (const Literal& size: shape.items) {
    if (size.kind != Literal::Kind::integer || size.negative) return std::nullopt;
    if (__builtin_mul_overflow(out, size.integer, &out)) return std::nullopt;
  }
  return out;
}

std::optional<Dtype> fields(const Literal& descr) {
  Dtype out;
  for (const Literal& field: descr.items) {
    // (name, descr) or (name, descr, shape); the name may be a (title, name) pair.
    if (field.kind != Literal::Kind::tuple || field.items.size() < 2 || field.items.size() > 3)
      return std::nullopt;
    const auto type = dtype_of(field.items[1]);
    const auto count = field.items.size() == 3 ? product(field.items[2]) : std::uint64_t{1};
    std::uint64_t size = 0;
    if (!type || !count || __builtin_mul_overflow(type->item_size, *count, &size) ||
        __builtin_add_overflow(out.item_size, size, &out.item_size))
      return std::nullopt;
    out.has_object = out.has_object || type->has_object;
  }
  return out;
}

Header malformed(Header header, std::string_view error) {
  header.state = Header::State::malformed;
  header.error = error;
  return header;
}

} // namespace

std::optional<Dtype> dtype_of(std::string_view type) {
  const auto named = std::find_if(k_names.begin(), k_names.end(),
                                  [&](const Named& entry) { return entry.name == type; });
  if (named != k_names.end()) return Dtype{named->size, false};
  if (type == "object" || type == "object_") return Dtype{8, true};
  if (!type.empty() && std::string_view("<>|=").find(type[0]) != std::string_view::npos)
    type.remove_prefix(1);
  if (type.empty()) return std::nullopt;
  const char kind = type[0];
  std::string_view rest = type.substr(1);
  if (kind == 'M' || kind == 'm') {
    // datetime64 and timedelta64, with a unit in brackets.
    if (const std::size_t unit = rest.find('['); unit != std::string_view::npos) {
      if (!rest.ends_with(']')) return std::nullopt;
      rest = rest.substr(0, unit);
    }
    return rest == "8" ? std::optional<Dtype>(Dtype{8, false}) : std::nullopt;
  }
  const auto size = digits(rest);
  if (!size) return std::nullopt;
  switch (kind) {
  case 'O':
    return Dtype{8, true};
  case 'T': // variable-width strings of numpy 2: kept as a pickle too
    return Dtype{16, true};
  case '?':
    return Dtype{1, false};
  case 'b':
  case 'i':
  case 'u':
  case 'f':
  case 'c':
    if (*size == 0 || *size > 64) return std::nullopt;
    return Dtype{*size, false};
  case 'S':
  case 'a':
  case 'V':
    return Dtype{*size, false};
  case 'U':
    if (*size > (std::uint64_t{1} << 60)) return std::nullopt;
    return Dtype{*size * 4, false};
  default:
    return std::nullopt;
  }
}

std::optional<Dtype> dtype_of(const Literal& descr) {
  switch (descr.kind) {
  case Literal::Kind::text:
    return dtype_of(std::string_view(descr.text));
  case Literal::Kind::list:
    return fields(descr);
  case Literal::Kind::tuple: {
    if (descr.items.size() != 2) return std::nullopt;
    auto type = dtype_of(descr.items[0]);
    const auto count = product(descr.items[1]);
    if (!type || !count || __builtin_mul_overflow(type->item_size, *count, &type->item_size))
      return std::nullopt;
    return type;
  }
  default:
    return std::nullopt;
  }
}

// numpy/lib/format.py: magic, version, u16 (1.0) or u32 (2.0, 3.0) length, a literal dict.
Header read_header(Source& source, std::uint64_t offset) {
  Header out;
  const Bytes head = source.view(offset, 12);
  if (!starts_with(head, k_magic)) return out;
  if (head.size() < 12) {
    out.state = Header::State::truncated;
    return out;
  }
  const std::uint8_t major = head[6];
  if (major < 1 || major > 3 || head[7] != 0) {
    out.state = Header::State::unsupported;
    out.data = offset + 8;
    return out;
  }
  Reader in(head.subspan(8));
  out.length = major == 1 ? in.le<std::uint16_t>().value_or(0) : in.le<std::uint32_t>().value_or(0);
  const std::uint64_t begin = offset + (major == 1 ? 10 : 12);
  out.data = begin + out.length;
  if (out.length > k_max_header) return malformed(std::move(out), "the header is too long");
  const Bytes text = source.view(begin, static_cast<std::size_t>(out.length));
  if (text.size() < out.length) {
    out.state = Header::State::truncated;
    return out;
  }
  out.text = as_text(text);
  const auto literal = parse_literal(out.text);
  if (!literal || literal->kind != Literal::Kind::dict)
    return malformed(std::move(out), "the header is no literal dict");
  const Literal* descr = nullptr;
  const Literal* order = nullptr;
  const Literal* shape = nullptr;
  for (std::size_t i = 0; i + 1 < literal->items.size(); i += 2) {
    const Literal& key = literal->items[i];
    const Literal*& slot = key.text == "descr"           ? descr
                           : key.text == "fortran_order" ? order
                                                         : shape;
    if (key.kind != Literal::Kind::text || (&slot == &shape && key.text != "shape") ||
        slot != nullptr)
      return malformed(std::move(out), "the header has other keys than the format");
    slot = &literal->items[i + 1];
  }
  if (descr == nullptr || order == nullptr || shape == nullptr ||
      order->kind != Literal::Kind::boolean || shape->kind != Literal::Kind::tuple)
    return malformed(std::move(out), "the header lacks a key, or one has the wrong type");
  const auto dtype = dtype_of(*descr);
  if (!dtype) return malformed(std::move(out), "the dtype is not understood");
  const auto elements = product(*shape);
  if (!elements) return malformed(std::move(out), "the shape is no tuple of sizes, or overflows");
  out.dtype = *dtype;
  out.elements = *elements;
  if (__builtin_mul_overflow(out.elements, out.dtype.item_size, &out.bytes) ||
      out.bytes > std::uint64_t{INT64_MAX} - out.data)
    return malformed(std::move(out), "the array needs more bytes than can be counted");
  out.state = Header::State::good;
  return out;
}

} // namespace hubgate::numpy
