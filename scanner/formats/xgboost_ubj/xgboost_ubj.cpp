// XGBoost models as Universal Binary JSON (ubjson.org, draft 12, as src/common/json.cc of xgboost
// writes it): read without recursion, typed arrays stepped over or fed to the trees. See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/formats/xgboost/trees.hpp"

#include <algorithm>
#include <bit>
#include <vector>

namespace hubgate {
namespace {

constexpr std::size_t k_depth = 512;
constexpr std::size_t k_max_key = 4096;
constexpr std::uint64_t k_max_text = std::uint64_t{1} << 20;

// Bytes of a number by its type, 0 = it is no number.
unsigned width_of(char type) {
  switch (type) {
  case 'i':
  case 'U':
    return 1;
  case 'I':
    return 2;
  case 'l':
  case 'd':
    return 4;
  case 'L':
  case 'D':
    return 8;
  default:
    return 0;
  }
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), in_(source), trees_(session) {}
  Reading run();

private:
  std::optional<char> marker() {
    const auto c = in_.le<std::uint8_t>();
    return c ? std::optional(static_cast<char>(*c)) : std::nullopt;
  }
  std::optional<double> number(char type);
  std::optional<std::uint64_t> length();
  bool text(std::uint64_t size, std::string& out);
  bool value(char type);
  bool array();
  bool typed_array(char type, std::uint64_t count);
  bool ended() {
    session_.gap(Reason::truncated, Reach::load, in_.position(), "the model ends early");
    return false;
  }
  bool refuse(const std::string& why) {
    session_.find(xgboost::k_bounds, in_.position(), 0, why);
    session_.gap(Reason::malformed, Reach::load, in_.position(), why);
    return false;
  }

  Source& source_;
  Session& session_;
  Cursor in_;
  xgboost::Trees trees_;
  struct Open {
    char kind;                         ///< '{' or '['
    std::optional<std::uint64_t> left; ///< values that a counted array still has
  };
  std::vector<Open> open_;
  std::uint64_t size_ = 0;
};

std::optional<double> Scan::number(char type) {
  switch (type) {
  case 'i':
    if (const auto v = in_.be<std::int8_t>()) return *v;
    break;
  case 'U':
    if (const auto v = in_.be<std::uint8_t>()) return *v;
    break;
  case 'I':
    if (const auto v = in_.be<std::int16_t>()) return *v;
    break;
  case 'l':
    if (const auto v = in_.be<std::int32_t>()) return *v;
    break;
  case 'L':
    if (const auto v = in_.be<std::int64_t>()) return static_cast<double>(*v);
    break;
  case 'd':
    if (const auto v = in_.be<std::uint32_t>())
      return static_cast<double>(std::bit_cast<float>(*v));
    break;
  case 'D':
    if (const auto v = in_.be<std::uint64_t>()) return std::bit_cast<double>(*v);
    break;
  default:
    break;
  }
  return std::nullopt;
}

// A length is a number with its type in front; a negative one has crashed readers.
std::optional<std::uint64_t> Scan::length() {
  const auto type = marker();
  if (!type) {
    ended();
    return std::nullopt;
  }
  if (width_of(*type) == 0 || *type == 'd' || *type == 'D') {
    refuse("a length that is no whole number");
    return std::nullopt;
  }
  const auto value = number(*type);
  if (!value) {
    ended();
    return std::nullopt;
  }
  if (*value < 0 || *value > static_cast<double>(size_)) {
    refuse(*value < 0 ? "a negative length" : "a length beyond the file's end");
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(*value);
}

bool Scan::text(std::uint64_t size, std::string& out) {
  out.clear();
  const std::uint64_t end = in_.position() + size;
  while (out.size() < std::min(size, k_max_text)) {
    const auto piece = in_.take(static_cast<std::size_t>(
        std::min<std::uint64_t>(Cursor::k_window, std::min(size, k_max_text) - out.size())));
    if (!piece) return ended();
    out += as_text(*piece);
  }
  in_.seek(end);
  return true;
}

bool Scan::typed_array(char type, std::uint64_t count) {
  const unsigned width = width_of(type);
  if (width == 0) return refuse(std::string("an array of the type '") + type + "'");
  const std::uint64_t left = size_ - std::min(size_, in_.position());
  if (count > left / width) return refuse("an array of " + std::to_string(count) + " elements");
  trees_.array_begin();
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto value = number(type);
    if (!value) return ended();
    trees_.number(*value);
    if (i % 65536 == 65535 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, in_.position(), "out of time");
      return false;
    }
  }
  trees_.array_end();
  return true;
}

bool Scan::array() {
  const std::uint64_t at = in_.position();
  const auto first = marker();
  if (!first) return ended();
  if (*first == '$') {
    const auto type = marker();
    const auto hash = marker();
    if (!type || !hash) return ended();
    if (*hash != '#') return refuse("a typed array without a length");
    const auto count = length();
    return count && typed_array(*type, *count);
  }
  if (*first == '#') {
    // Counted and of mixed types: as many values as it says, and no end mark.
    const auto count = length();
    if (!count) return false;
    if (open_.size() >= k_depth) return refuse("nested too deep");
    if (*count > size_) return refuse("an array of " + std::to_string(*count) + " elements");
    open_.push_back({'[', *count});
    trees_.array_begin();
    return true;
  }
  in_.seek(at);
  if (open_.size() >= k_depth) return refuse("nested too deep");
  open_.push_back({'[', std::nullopt});
  trees_.array_begin();
  return true;
}

bool Scan::value(char type) {
  switch (type) {
  case '{':
    if (open_.size() >= k_depth) return refuse("nested too deep");
    open_.push_back({'{', std::nullopt});
    trees_.object_begin(in_.position());
    return true;
  case '[':
    return array();
  case 'S': {
    const auto size = length();
    if (!size) return false;
    const std::uint64_t at = in_.position();
    std::string content;
    if (!text(*size, content)) return false;
    if (*size > k_max_text) {
      session_.gap(Reason::budget, Reach::data, at, "a string is too long");
      SubSource whole(source_, at, *size);
      session_.embedded("string", whole);
    }
    trees_.string(content, at);
    return true;
  }
  case 'C':
    return in_.skip(1) || ended();
  case 'Z':
  case 'T':
  case 'F':
  case 'N':
    return true;
  default:
    break;
  }
  if (width_of(type) == 0) return refuse(std::string("the type '") + type + "'");
  const auto read = number(type);
  if (!read) return ended();
  trees_.number(*read);
  return true;
}

Reading Scan::run() {
  size_ = source_.wait_end();
  trees_.settle();
  if (marker() != '{' || !value('{')) return Reading::none;
  for (std::uint64_t steps = 0; !open_.empty(); ++steps) {
    if (steps % 65536 == 65535 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, in_.position(), "out of time");
      return Reading::broken;
    }
    if (open_.back().left) {
      if (*open_.back().left == 0) {
        open_.pop_back();
        trees_.array_end();
        continue;
      }
      --*open_.back().left;
    }
    const std::uint64_t at = in_.position();
    const auto next = marker();
    if (!next) {
      ended();
      return Reading::broken;
    }
    if (open_.back().kind == '{') {
      if (*next == '}') {
        open_.pop_back();
        trees_.object_end();
        continue;
      }
      in_.seek(at);
      const auto size = length();
      std::string key;
      if (!size) return Reading::broken;
      if (*size > k_max_key) {
        refuse("a key of " + std::to_string(*size) + " bytes");
        return Reading::broken;
      }
      if (!text(*size, key)) return Reading::broken;
      trees_.key(key);
      const auto type = marker();
      if (!type) {
        ended();
        return Reading::broken;
      }
      if (!value(*type)) return Reading::broken;
      continue;
    }
    if (*next == ']' && !open_.back().left) {
      open_.pop_back();
      trees_.array_end();
      continue;
    }
    if (!value(*next)) return Reading::broken;
  }
  session_.ends_at(in_.position());
  return Reading::valid;
}

// "{", a length, and a key of the model's top: learner, version, Config, Model.
Claim probe(const Probe& probe) {
  Reader in(probe.head);
  if (in.le<std::uint8_t>() != '{') return Claim::no;
  const auto type = in.le<std::uint8_t>();
  if (!type) return Claim::no;
  const unsigned width = *type == 'd' || *type == 'D' ? 0 : width_of(static_cast<char>(*type));
  const auto raw = in.take(width);
  if (width == 0 || !raw) return Claim::no;
  std::uint64_t size = 0;
  for (const std::uint8_t c: *raw)
    size = size << 8 | c;
  const auto key = in.take(size);
  if (!key) return Claim::no;
  const std::string_view name = as_text(*key);
  return name == "learner" || name == "version" || name == "Config" || name == "Model" ? Claim::yes
                                                                                       : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_xgboost_ubj;
const Format format_xgboost_ubj{.name = "xgboost_ubj",
                                .family = "xgboost_ubj",
                                .probe = probe,
                                .scan = scan,
                                .rules = xgboost::k_rules};

} // namespace hubgate
