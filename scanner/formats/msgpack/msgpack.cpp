// msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) as Flax writes checkpoints
// (flax/serialization.py): a map of maps whose leaves are arrays in extension type 1.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/tensor_sample.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::uint32_t k_max_depth = 200;
constexpr std::size_t k_told = 20;

constexpr std::array<Rule, 5> k_rules{{
    {"msgpack-size", "structure", Severity::suspicious, Reach::load, "CWE-789", "AML.T0029",
     "RTF-012",
     "a count or length that the file can't hold, for which readers make room all the same"},
    {"msgpack-extension", "unknown-class", Severity::suspicious, Reach::load, "CWE-502",
     "AML.T0011.000", "RTF-012",
     "an extension type that Flax does not know: what it becomes is up to the reader"},
    {"msgpack-array", "structure", Severity::suspicious, Reach::load, "CWE-130", "AML.T0029",
     "RTF-012",
     "an array whose bytes are not what its shape and type need, or whose elements are Python "
     "objects"},
    k_rule_steganography,
    k_rule_not_finite,
}};

const Rule& k_size = k_rules[0];
const Rule& k_extension = k_rules[1];
const Rule& k_array = k_rules[2];

struct Dtype {
  std::string_view name;
  std::uint64_t size;
  Element element;
};

std::optional<Dtype> dtype_of(std::string_view name) {
  constexpr std::array<Dtype, 26> k_types{{{"float32", 4, Element::float32},
                                           {"float16", 2, Element::float16},
                                           {"bfloat16", 2, Element::bfloat16},
                                           {"float64", 8, Element::float64},
                                           {"int8", 1, Element::other},
                                           {"int16", 2, Element::other},
                                           {"int32", 4, Element::other},
                                           {"int64", 8, Element::other},
                                           {"uint8", 1, Element::other},
                                           {"uint16", 2, Element::other},
                                           {"uint32", 4, Element::other},
                                           {"uint64", 8, Element::other},
                                           {"bool", 1, Element::other},
                                           {"bool_", 1, Element::other},
                                           {"complex64", 8, Element::other},
                                           {"complex128", 16, Element::other},
                                           {"float8_e4m3fn", 1, Element::other},
                                           {"float8_e5m2", 1, Element::other},
                                           {"float8_e4m3b11fnuz", 1, Element::other},
                                           {"float8_e4m3fnuz", 1, Element::other},
                                           {"float8_e5m2fnuz", 1, Element::other},
                                           {"float8_e8m0fnu", 1, Element::other},
                                           {"int4", 1, Element::other},
                                           {"uint4", 1, Element::other},
                                           {"int2", 1, Element::other},
                                           {"uint2", 1, Element::other}}};
  for (const Dtype& type: k_types)
    if (type.name == name) return type;
  return std::nullopt;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), size_(source.wait_end()), in_(source, 0, size_) {}
  Reading run();

private:
  struct Token {
    enum class Kind { nothing, number, text, bytes, list, map, extension } kind = Kind::nothing;
    std::uint64_t count = 0; ///< items, pairs, or bytes
    std::int64_t number = 0; ///< of an integer; of an extension its type
    std::uint64_t at = 0;
  };
  std::optional<Token> token();
  bool value(std::string_view name);
  bool body(const Token& token, std::string_view name);
  bool extension(const Token& token, std::string_view name);
  void array(std::uint64_t end, std::string_view name);
  bool too_much(const Token& token, std::uint64_t least);
  void tell(const Rule& rule, std::uint64_t at, const std::string& evidence) {
    if (++told_ <= k_told) session_.find(rule, at, 0, evidence);
  }

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  Cursor in_;
  std::uint32_t depth_ = 0;
  std::uint64_t values_ = 0;
  std::size_t told_ = 0;
  std::size_t sampled_ = 0;
  bool budget_ = false;
  bool refused_ = false;
};

std::optional<Scan::Token> Scan::token() {
  using Kind = Token::Kind;
  Token out;
  out.at = in_.position();
  const auto head = in_.le<std::uint8_t>();
  if (!head) return std::nullopt;
  const std::uint8_t c = *head;
  const auto unsigned_of = [&](unsigned bytes) -> std::optional<std::uint64_t> {
    switch (bytes) {
    case 1:
      if (const auto v = in_.be<std::uint8_t>()) return *v;
      break;
    case 2:
      if (const auto v = in_.be<std::uint16_t>()) return *v;
      break;
    case 4:
      if (const auto v = in_.be<std::uint32_t>()) return *v;
      break;
    default:
      if (const auto v = in_.be<std::uint64_t>()) return *v;
      break;
    }
    return std::nullopt;
  };
  const auto sized = [&](Kind kind, unsigned bytes) -> std::optional<Token> {
    const auto count = unsigned_of(bytes);
    if (!count) return std::nullopt;
    out.kind = kind;
    out.count = *count;
    if (kind == Kind::extension) {
      const auto type = in_.le<std::uint8_t>();
      if (!type) return std::nullopt;
      out.number = *type < 128 ? *type : *type - 256;
    }
    return out;
  };
  const auto plain = [&](std::uint64_t bytes) -> std::optional<Token> {
    out.kind = Kind::number;
    if (bytes > 8) return std::nullopt;
    const auto value = unsigned_of(static_cast<unsigned>(bytes));
    if (!value) return std::nullopt;
    out.number = static_cast<std::int64_t>(std::min<std::uint64_t>(*value, INT64_MAX));
    return out;
  };
  if (c <= 0x7f || c >= 0xe0) {
    out.kind = Kind::number;
    out.number = c <= 0x7f ? c : c - 256;
    return out;
  }
  if (c <= 0xbf) {
    out.kind = c <= 0x8f ? Kind::map : c <= 0x9f ? Kind::list : Kind::text;
    out.count = c & (c <= 0x9f ? 0x0fU : 0x1fU);
    return out;
  }
  switch (c) {
  case 0xc0:
  case 0xc2:
  case 0xc3:
    return out;
  case 0xc4:
  case 0xc5:
  case 0xc6:
    return sized(Kind::bytes, 1U << (c - 0xc4));
  case 0xc7:
  case 0xc8:
  case 0xc9:
    return sized(Kind::extension, 1U << (c - 0xc7));
  case 0xca:
    return plain(4);
  case 0xcb:
    return plain(8);
  case 0xcc:
  case 0xcd:
  case 0xce:
  case 0xcf:
    return plain(1U << (c - 0xcc));
  case 0xd0:
  case 0xd1:
  case 0xd2:
  case 0xd3:
    return plain(1U << (c - 0xd0));
  case 0xd4:
  case 0xd5:
  case 0xd6:
  case 0xd7:
  case 0xd8: {
    const auto type = in_.le<std::uint8_t>();
    if (!type) return std::nullopt;
    out.kind = Kind::extension;
    out.count = std::uint64_t{1} << (c - 0xd4);
    out.number = *type < 128 ? *type : *type - 256;
    return out;
  }
  case 0xd9:
  case 0xda:
  case 0xdb:
    return sized(Kind::text, 1U << (c - 0xd9));
  case 0xdc:
  case 0xdd:
    return sized(Kind::list, c == 0xdc ? 2 : 4);
  case 0xde:
  case 0xdf:
    return sized(Kind::map, c == 0xde ? 2 : 4);
  default:
    return std::nullopt; // 0xc1 is never used
  }
}

// More items than bytes are left: each takes one at least.
bool Scan::too_much(const Token& token, std::uint64_t least) {
  const std::uint64_t left = size_ - std::min(size_, in_.position());
  if (token.count <= left / least) return false;
  tell(k_size, token.at,
       std::to_string(token.count) + " announced, " + std::to_string(left) + " bytes left");
  refused_ = true;
  return true;
}

// (shape, name of the dtype, bytes), itself packed.
void Scan::array(std::uint64_t end, std::string_view name) {
  const std::uint64_t at = in_.position();
  const auto outer = token();
  const auto shape =
      outer && outer->kind == Token::Kind::list && outer->count == 3 ? token() : std::nullopt;
  if (!shape || shape->kind != Token::Kind::list || shape->count > 64) {
    tell(k_array, at, std::string(name) + ": no shape, type and bytes");
    return;
  }
  std::uint64_t elements = 1;
  bool counted = true;
  for (std::uint64_t i = 0; i < shape->count; ++i) {
    const auto size = token();
    counted =
        counted && size && size->kind == Token::Kind::number && size->number >= 0 &&
        !__builtin_mul_overflow(elements, static_cast<std::uint64_t>(size->number), &elements);
  }
  const auto type = token();
  if (!type || type->kind != Token::Kind::text || type->count > 64) {
    tell(k_array, at, std::string(name) + ": no type");
    return;
  }
  const auto raw = in_.take(static_cast<std::size_t>(type->count));
  const std::string dtype(raw ? as_text(*raw) : "");
  const auto data = token();
  if (!data || (data->kind != Token::Kind::bytes && data->kind != Token::Kind::text)) {
    tell(k_array, at, std::string(name) + ": no bytes");
    return;
  }
  const auto known = dtype_of(dtype);
  std::uint64_t wanted = 0;
  if (!known)
    tell(k_array, at, std::string(name) + ": elements of type " + dtype);
  else if (!counted || __builtin_mul_overflow(elements, known->size, &wanted) ||
           wanted != data->count)
    tell(k_array, at,
         std::string(name) + ": " + std::to_string(data->count) + " bytes for " +
             std::to_string(elements) + " x " + dtype);
  const std::uint64_t begin = in_.position();
  if (begin > end || data->count > end - begin) return;
  if (++sampled_ <= k_sampled_tensors)
    sample_tensor(source_, session_, begin, data->count, known ? known->element : Element::other,
                  name);
  if (!known && data->count >= 16) {
    SubSource inner(source_, begin, data->count);
    session_.embedded(name, inner);
  }
}

bool Scan::extension(const Token& token, std::string_view name) {
  const std::uint64_t begin = in_.position();
  const std::uint64_t end = begin + token.count;
  // Flax: 1 array, 2 complex, 3 scalar of numpy; -1 is msgpack's own time.
  if (token.number == 1 || token.number == 3) {
    array(end, name);
  } else if (token.number != 2 && token.number != -1) {
    tell(k_extension, token.at,
         std::string(name) + ": extension type " + std::to_string(token.number));
    if (token.count >= 16) {
      SubSource inner(source_, begin, token.count);
      session_.embedded(std::string(name) + "!extension", inner);
    }
  }
  in_.seek(end);
  return true;
}

bool Scan::body(const Token& token, std::string_view name) {
  switch (token.kind) {
  case Token::Kind::nothing:
  case Token::Kind::number:
    return true;
  case Token::Kind::extension:
    return !too_much(token, 1) && extension(token, name);
  case Token::Kind::text:
  case Token::Kind::bytes: {
    if (too_much(token, 1)) return false;
    const std::uint64_t begin = in_.position();
    if (token.count >= 16) {
      SubSource inner(source_, begin, token.count);
      session_.embedded(name, inner);
    }
    return in_.skip(token.count);
  }
  case Token::Kind::list:
    if (too_much(token, 1)) return false;
    for (std::uint64_t i = 0; i < token.count; ++i)
      if (!value(name)) return false;
    return true;
  case Token::Kind::map:
    if (too_much(token, 2)) return false;
    for (std::uint64_t i = 0; i < token.count; ++i) {
      const auto key = this->token();
      if (!key) return false;
      std::string inner(name.substr(0, 200));
      if (key->kind == Token::Kind::text || key->kind == Token::Kind::bytes) {
        if (too_much(*key, 1)) return false;
        const std::uint64_t begin = in_.position();
        const auto piece =
            in_.take(static_cast<std::size_t>(std::min<std::uint64_t>(key->count, 200)));
        if (!piece) return false;
        inner += (inner.empty() ? "" : "/") + std::string(as_text(*piece));
        in_.seek(begin + key->count);
      } else if (!body(*key, inner)) {
        return false;
      }
      if (!value(inner)) return false;
    }
    return true;
  }
  return false;
}

bool Scan::value(std::string_view name) {
  if (++values_ % 65536 == 0 && !session_.budget().time_left()) budget_ = true;
  if (depth_ >= k_max_depth) budget_ = true;
  if (budget_) return false;
  ++depth_;
  const auto next = token();
  const bool whole = next && body(*next, name);
  --depth_;
  return whole;
}

Reading Scan::run() {
  const bool whole = value("");
  const bool ended = in_.position() >= size_;
  if (whole && (ended || told_ > 0)) {
    session_.ends_at(std::min(in_.position(), size_));
    session_.release(in_.position() - std::min(in_.position(), k_held_tail));
    return Reading::valid;
  }
  // Many bytes begin like a map: it takes an array of Flax, or a size that can't be.
  if (whole || (sampled_ == 0 && !refused_ && !budget_)) return Reading::none;
  session_.gap(budget_ ? Reason::budget : Reason::malformed, Reach::load, in_.position(),
               "msgpack that can't be read to its end");
  return Reading::broken;
}

// A map whose first key is a name.
Claim probe(const Probe& probe) {
  const Bytes head = probe.head;
  if (head.size() < 4) return Claim::no;
  std::size_t at = 0;
  if (head[0] >= 0x81 && head[0] <= 0x8f)
    at = 1;
  else if (head[0] == 0xde)
    at = 3;
  else if (head[0] == 0xdf)
    at = 5;
  else
    return Claim::no;
  if (at + 2 >= head.size()) return Claim::no;
  std::size_t length = 0;
  if (head[at] >= 0xa1 && head[at] <= 0xbf)
    length = head[at++] & 0x1f;
  else if (head[at] == 0xd9) {
    length = head[at + 1];
    at += 2;
  }
  if (length == 0 || at + length >= head.size()) return Claim::no;
  const Bytes name = head.subspan(at, length);
  const bool printable =
      std::all_of(name.begin(), name.end(), [](std::uint8_t c) { return c >= 0x20 && c < 0x7f; });
  return printable ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_msgpack;
const Format format_msgpack{
    .name = "msgpack", .family = "msgpack", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
