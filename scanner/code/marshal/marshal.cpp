#include "scanner/code/marshal/marshal.hpp"

#include "scanner/core/reader.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace hubgate::marshal {
namespace {

constexpr std::uint8_t k_flag_ref = 0x80;

bool is_bytes(std::uint8_t type) {
  return type == 's' || type == 't';
}

bool is_text(std::uint8_t type) {
  return std::string_view("utaAzZs").find(static_cast<char>(type)) != std::string_view::npos;
}

bool is_tuple(std::uint8_t type) {
  return type == '(' || type == ')';
}

class Parser {
public:
  Parser(Bytes input, Layout layout) : reader_(input) { out_.layout = layout; }

  Object run() {
    out_.state = Object::State::complete;
    const auto root = value(0);
    out_.root = root.value_or(k_no_node);
    out_.end = reader_.position();
    return std::move(out_);
  }

private:
  std::optional<std::uint32_t> fail(Object::State state) {
    if (out_.state == Object::State::complete) out_.state = state;
    return std::nullopt;
  }

  std::optional<std::uint32_t> add(Node node) {
    if (out_.nodes.size() >= k_max_nodes) return fail(Object::State::limit);
    out_.nodes.push_back(node);
    return static_cast<std::uint32_t>(out_.nodes.size() - 1);
  }

  std::optional<std::uint32_t> payload(std::uint8_t type, std::uint64_t size) {
    const auto begin = reader_.position();
    if (!reader_.skip(size)) return fail(Object::State::truncated);
    return add({.type = type,
                .begin = static_cast<std::uint32_t>(begin),
                .size = static_cast<std::uint32_t>(size)});
  }

  std::optional<std::uint32_t> sized(std::uint8_t type) {
    const auto size = reader_.le<std::uint32_t>();
    if (!size) return fail(Object::State::truncated);
    if (*size > 0x7fffffff) return fail(Object::State::malformed);
    return payload(type, *size);
  }

  std::optional<std::uint32_t> short_sized(std::uint8_t type) {
    const auto size = reader_.le<std::uint8_t>();
    return size ? payload(type, *size) : fail(Object::State::truncated);
  }

  std::optional<std::uint32_t> value(std::uint32_t depth);
  std::optional<std::uint32_t> plain(std::uint8_t type, std::uint32_t depth);
  std::optional<std::uint32_t> items(std::uint8_t type, std::uint64_t count, std::uint32_t depth);
  std::optional<std::uint32_t> dict(std::uint32_t depth);
  std::optional<std::uint32_t> code(std::uint32_t depth);
  bool field(std::uint32_t& out, std::uint32_t depth, bool (*is)(std::uint8_t));
  bool number(std::uint32_t& out);

  Reader reader_;
  Object out_;
  std::vector<std::uint32_t> refs_;
  std::vector<std::uint32_t> interned_; ///< of 2.7
};

// The index of the next value; nothing on an error.
std::optional<std::uint32_t> Parser::value(std::uint32_t depth) {
  if (depth > k_max_depth) return fail(Object::State::limit);
  const auto code = reader_.le<std::uint8_t>();
  if (!code) return fail(Object::State::truncated);
  const std::uint8_t type = *code & 0x7f;
  // 'r' and 'R' name an earlier value.
  if (type == 'r' || type == 'R') {
    const auto index = reader_.le<std::uint32_t>();
    if (!index) return fail(Object::State::truncated);
    const auto& table = type == 'r' ? refs_ : interned_;
    if (*index >= table.size() || table[*index] == k_no_node) return fail(Object::State::malformed);
    return table[*index];
  }
  const bool flagged = (*code & k_flag_ref) != 0;
  const std::size_t slot = refs_.size();
  if (flagged) refs_.push_back(k_no_node); // containers take their number before their items do
  const auto node = plain(type, depth);
  if (node && flagged) refs_[slot] = *node;
  if (node && type == 't' && out_.layout == Layout::python27) interned_.push_back(*node);
  return node;
}

std::optional<std::uint32_t> Parser::plain(std::uint8_t type, std::uint32_t depth) {
  switch (type) {
  case '0':
  case 'N':
  case 'F':
  case 'T':
  case 'S':
  case '.':
    return payload(type, 0);
  case 'i':
    return payload(type, 4);
  case 'I':
  case 'g':
    return payload(type, 8);
  case 'y':
    return payload(type, 16);
  case 'f':
    return short_sized(type);
  case 'x': {
    const auto begin = reader_.position();
    if (!short_sized(type) || !short_sized(type)) return std::nullopt;
    return add({.type = type,
                .begin = static_cast<std::uint32_t>(begin),
                .size = static_cast<std::uint32_t>(reader_.position() - begin)});
  }
  case 'l': {
    const auto digits = reader_.le<std::int32_t>();
    if (!digits) return fail(Object::State::truncated);
    const std::int64_t count = *digits;
    return payload(type, 2 * static_cast<std::uint64_t>(count < 0 ? -count : count));
  }
  case 's':
  case 't':
  case 'u':
  case 'a':
  case 'A':
    return sized(type);
  case 'z':
  case 'Z':
    return short_sized(type);
  case ')': {
    const auto count = reader_.le<std::uint8_t>();
    return count ? items(type, *count, depth) : fail(Object::State::truncated);
  }
  case '(':
  case '[':
  case '<':
  case '>': {
    const auto count = reader_.le<std::uint32_t>();
    if (!count) return fail(Object::State::truncated);
    return items(type, *count, depth);
  }
  case ':': // slice, since 3.14
    return items(type, 3, depth);
  case '{':
    return dict(depth);
  case 'c':
    return code(depth);
  default:
    return fail(Object::State::malformed);
  }
}

std::optional<std::uint32_t> Parser::items(std::uint8_t type, std::uint64_t count,
                                           std::uint32_t depth) {
  if (!reader_.can_hold(count, 1)) return fail(Object::State::truncated);
  std::vector<std::uint32_t> found;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto item = value(depth + 1);
    if (!item) return std::nullopt;
    found.push_back(*item);
  }
  const auto first = out_.links.size();
  if (first + found.size() > k_max_nodes) return fail(Object::State::limit);
  out_.links.insert(out_.links.end(), found.begin(), found.end());
  return add({.type = type,
              .first = static_cast<std::uint32_t>(first),
              .count = static_cast<std::uint32_t>(found.size())});
}

// Keys and values up to a null.
std::optional<std::uint32_t> Parser::dict(std::uint32_t depth) {
  std::vector<std::uint32_t> found;
  for (;;) {
    const auto item = value(depth + 1);
    if (!item) return std::nullopt;
    if (out_.nodes[*item].type == '0') break;
    found.push_back(*item);
  }
  const auto first = out_.links.size();
  if (first + found.size() > k_max_nodes) return fail(Object::State::limit);
  out_.links.insert(out_.links.end(), found.begin(), found.end());
  return add({.type = '{',
              .first = static_cast<std::uint32_t>(first),
              .count = static_cast<std::uint32_t>(found.size())});
}

bool Parser::number(std::uint32_t& out) {
  const auto value = reader_.le<std::uint32_t>();
  if (!value) {
    fail(Object::State::truncated);
    return false;
  }
  out = *value;
  return true;
}

bool Parser::field(std::uint32_t& out, std::uint32_t depth, bool (*is)(std::uint8_t)) {
  const auto node = value(depth + 1);
  if (!node) return false;
  if (!is(out_.nodes[*node].type)) {
    fail(Object::State::malformed);
    return false;
  }
  out = *node;
  return true;
}

std::optional<std::uint32_t> Parser::code(std::uint32_t depth) {
  Code code;
  code.offset = static_cast<std::uint32_t>(reader_.position() - 1);
  const Layout layout = out_.layout;
  const std::size_t numbers = layout == Layout::python27 ? 4 : layout == Layout::python38 ? 6 : 5;
  std::array<std::uint32_t, 6> head{};
  for (std::size_t i = 0; i < numbers; ++i)
    if (!number(head[i])) return std::nullopt;
  code.arguments = head[0];
  if (layout != Layout::python27) {
    code.positional_only = layout == Layout::python36 ? 0 : head[1];
    code.keyword_only = layout == Layout::python36 ? head[1] : head[2];
  }
  code.flags = head[numbers - 1];
  std::uint32_t ignored = 0;
  bool good = field(code.bytecode, depth, is_bytes) && field(code.constants, depth, is_tuple) &&
              field(code.names, depth, is_tuple) && field(code.locals, depth, is_tuple);
  if (layout == Layout::python311) {
    good = good && field(code.kinds, depth, is_bytes) && field(code.filename, depth, is_text) &&
           field(code.name, depth, is_text) && field(ignored, depth, is_text);
  } else {
    good = good && field(code.frees, depth, is_tuple) && field(code.cells, depth, is_tuple) &&
           field(code.filename, depth, is_text) && field(code.name, depth, is_text);
  }
  good = good && number(ignored) && field(code.lines, depth, is_bytes);
  if (layout == Layout::python311) good = good && field(ignored, depth, is_bytes);
  // What was read of a broken code object is listed all the same.
  if (code.names != k_no_node) out_.codes.push_back(code);
  if (!good) return std::nullopt;
  return add({.type = 'c', .begin = static_cast<std::uint32_t>(out_.codes.size() - 1)});
}

} // namespace

Object read(Bytes input, Layout layout) {
  return Parser(input.first(std::min(input.size(), k_max_bytes)), layout).run();
}

Object read_any(Bytes input) {
  Object best;
  for (const Layout layout:
       {Layout::python311, Layout::python38, Layout::python36, Layout::python27}) {
    Object object = read(input, layout);
    const auto rank = [](const Object& o) {
      return std::pair(o.state == Object::State::complete, o.end);
    };
    if (best.root == k_no_node && best.end == 0 && best.codes.empty()) {
      best = std::move(object);
    } else if (rank(object) > rank(best)) {
      best = std::move(object);
    }
    if (best.state == Object::State::complete && !best.codes.empty()) break;
  }
  return best;
}

} // namespace hubgate::marshal
