// Names, constants and the stack of expressions.
#include "scanner/code/marshal/decompiler.hpp"
#include "scanner/core/reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>

namespace hubgate::marshal {
namespace {

constexpr std::size_t k_long_constant = 128; ///< longer ones are named once
constexpr std::size_t k_long_expression = 400;
constexpr std::size_t k_longest_name = 200;
constexpr std::uint32_t k_deepest = 64; ///< reached into the stack
constexpr std::size_t k_memory = std::size_t{96} << 20;

// Sorted. `exec` and `print` are names since Python 3.
constexpr std::array<std::string_view, 35> k_keywords{
    "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
    "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
    "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
    "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};

// Names that are made here.
bool is_ours(std::string_view name) {
  if (name == "_other" || name == "_error" || name == "_unknown" || name == "_g" ||
      name == "_given")
    return true;
  if (name.size() < 3 || name[0] != '_' || name[1] < 'a' || name[1] > 'z') return false;
  return name.back() >= '0' && name.back() <= '9' &&
         std::all_of(name.begin() + 1, name.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

void quote(std::string& out, std::string_view text, bool bytes) {
  static constexpr std::string_view k_digits = "0123456789abcdef";
  out += bytes ? "b'" : "'";
  for (const char c: text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte >= 0x20 && byte != 0x7f && (byte < 0x7f || !bytes)) {
      out += c;
    } else {
      out += "\\x";
      out += k_digits[byte >> 4];
      out += k_digits[byte & 15];
    }
  }
  out += '\'';
}

void append_double(std::string& out, double number) {
  if (!std::isfinite(number)) {
    out += std::isnan(number) ? "float('nan')" : number < 0 ? "float('-inf')" : "float('inf')";
    return;
  }
  std::array<char, 40> buffer{};
  const int n = std::snprintf(buffer.data(), buffer.size(), "%.17g", number);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(std::max(0, n)));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

// Digits of 15 bits, least significant first, as a hexadecimal number.
void append_long(std::string& out, Bytes digits, bool negative) {
  std::string hex;
  std::uint32_t held = 0;
  unsigned bits = 0;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    held |= (static_cast<std::uint32_t>(digits[i]) |
             static_cast<std::uint32_t>(digits[i + 1] & 0x7f) << 8)
            << bits;
    for (bits += 15; bits >= 4; bits -= 4, held >>= 4)
      hex += "0123456789abcdef"[held & 15];
  }
  hex += "0123456789abcdef"[held & 15];
  while (hex.size() > 1 && hex.back() == '0')
    hex.pop_back();
  if (negative) out += '-';
  out += "0x";
  out.append(hex.rbegin(), hex.rend());
}

// Whether `name` stands in `text` as a word.
bool mentions_name(std::string_view text, std::string_view name) {
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  for (std::size_t at = text.find(name); at != std::string_view::npos;
       at = text.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || !word(text[at - 1])) && (end >= text.size() || !word(text[end]))) return true;
  }
  return false;
}

bool is_text_type(std::uint8_t type) {
  return std::string_view("utaAzZs").find(static_cast<char>(type)) != std::string_view::npos;
}

} // namespace

std::string_view Decompiler::raw(std::uint32_t node) const {
  if (node == k_no_node || !is_text_type(object_.nodes[node].type)) return {};
  return as_text(input_.subspan(object_.nodes[node].begin, object_.nodes[node].size));
}

std::uint32_t Decompiler::item(std::uint32_t tuple, std::uint32_t index) const {
  if (tuple == k_no_node) return k_no_node;
  const Node& at = object_.nodes[tuple];
  return index < at.count ? object_.links[at.first + index] : k_no_node;
}

// A name that the parser takes for one, the same for the same bytes.
std::string Decompiler::identifier(std::string_view name) {
  if (name.empty()) return "_unknown";
  std::string out;
  for (const char c: name.substr(0, k_longest_name)) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (letter || (digit && !out.empty())) {
      out += c;
    } else {
      static constexpr std::string_view k_digits = "0123456789abcdef";
      out += "_x";
      out += k_digits[static_cast<unsigned char>(c) >> 4];
      out += k_digits[static_cast<unsigned char>(c) & 15];
    }
  }
  if (std::binary_search(k_keywords.begin(), k_keywords.end(), std::string_view(out)) ||
      (out.size() == name.size() && is_ours(out)))
    out += "_n";
  return out;
}

// Bytecode keeps local and global names apart, source doesn't: the local one gets another name.
std::string Decompiler::local(std::uint32_t index) const {
  const std::string_view text = raw(item(code().locals, index));
  std::string out = identifier(text);
  bool shared = false;
  if (version_ >= 311) {
    const std::string_view kinds = raw(code().kinds);
    shared = index < kinds.size() && (static_cast<unsigned char>(kinds[index]) & 0xc0) != 0;
  } else if (code().cells != k_no_node) {
    const Node& cells = object_.nodes[code().cells];
    for (std::uint32_t i = 0; i < std::min(cells.count, k_deepest) && !shared; ++i)
      shared = raw(object_.links[cells.first + i]) == text;
  }
  if (shared ? outside_.contains(out) : frame_->globals.contains(out)) out += "_local";
  return out;
}

std::string Decompiler::free_name(std::uint32_t index) const {
  if (version_ >= 311) return local(index);
  const std::uint32_t cells = code().cells == k_no_node ? 0 : object_.nodes[code().cells].count;
  const std::uint32_t node =
      index < cells ? item(code().cells, index) : item(code().frees, index - cells);
  std::string out = identifier(raw(node));
  if (outside_.contains(out)) out += "_local";
  return out;
}

bool Decompiler::is_nonlocal(std::uint32_t index) const {
  if (version_ >= 311) {
    const std::string_view kinds = raw(code().kinds);
    return index < kinds.size() && (static_cast<unsigned char>(kinds[index]) & 0x80) != 0;
  }
  return code().cells == k_no_node || index >= object_.nodes[code().cells].count;
}

void Decompiler::render(std::string& out, std::uint32_t node, unsigned depth) {
  constexpr unsigned k_deep = 40;
  if (node == k_no_node || depth > k_deep || out.size() > k_max_decompiled) {
    out += "None";
    if (node != k_no_node) complete_ = false;
    return;
  }
  const Node& at = object_.nodes[node];
  const Bytes payload = input_.subspan(at.begin, at.type == 'c' ? 0 : at.size);
  Reader reader(payload);
  const auto items = [&](std::string_view open, std::string_view close, std::string_view pair) {
    out += open;
    for (std::uint32_t i = 0; i < at.count && out.size() <= k_max_decompiled; ++i) {
      render(out, object_.links[at.first + i], depth + 1);
      out += !pair.empty() && i % 2 == 0 ? pair : std::string_view(", ");
    }
    out += close;
  };
  switch (at.type) {
  case 'T':
    out += "True";
    return;
  case 'F':
    out += "False";
    return;
  case '.':
    out += "...";
    return;
  case 'i':
    out += std::to_string(reader.le<std::int32_t>().value_or(0));
    return;
  case 'I':
    out += std::to_string(reader.le<std::int64_t>().value_or(0));
    return;
  case 'l':
    append_long(out, payload,
                at.begin >= 4 && (input_[at.begin - 1] & 0x80) != 0); // the count's sign
    return;
  case 'g':
    append_double(out, std::bit_cast<double>(reader.le<std::uint64_t>().value_or(0)));
    return;
  case 'y': {
    out += "complex(";
    append_double(out, std::bit_cast<double>(reader.le<std::uint64_t>().value_or(0)));
    out += ", ";
    append_double(out, std::bit_cast<double>(reader.le<std::uint64_t>().value_or(0)));
    out += ')';
    return;
  }
  case 'f':
  case 'x':
    out += "float(";
    quote(out, as_text(payload), false);
    out += ')';
    return;
  case '(':
  case ')':
    return items("(", ")", "");
  case '[':
    return items("[", "]", "");
  case '<':
  case '>':
    return items("frozenset((", "))", "");
  case '{':
    return items("{", "}", ": ");
  case ':':
    return items("slice(", ")", "");
  case 'c':
    out += identifier(raw(object_.codes[at.begin].name)) + "_code";
    return;
  default:
    break;
  }
  if (is_text_type(at.type))
    quote(out, raw(node), at.type == 's');
  else
    out += "None";
}

Decompiler::Expression Decompiler::constant(std::uint32_t node) {
  Expression out{.text = {}, .atom = true, .node = node};
  if (node == k_no_node) {
    complete_ = false;
    return {.text = "_unknown", .kind = Kind::lost, .atom = true};
  }
  if (object_.nodes[node].type == ':' && object_.nodes[node].count == 3) {
    out = {.text = {}, .kind = Kind::slice};
    for (std::uint32_t i = 0; i < 3; ++i) {
      const std::string part = constant(item(node, i)).text;
      out.other += (i == 0 ? "" : ", ") + part;
      if (i != 0) out.text += ':';
      if (part != "None") out.text += part;
    }
    return out;
  }
  const auto [at, fresh] = constants_.try_emplace(node);
  if (fresh) {
    render(at->second, node, 0);
    if (at->second.size() > k_long_constant) {
      const std::string called = "_k" + std::to_string(node);
      if (spend(at->second.size())) prologue_ += called + " = " + at->second + "\n";
      at->second = called;
    }
  }
  out.text = at->second;
  return out;
}

std::vector<std::string> Decompiler::names_in(std::uint32_t node) const {
  std::vector<std::string> out;
  if (node == k_no_node) return out;
  const Node& at = object_.nodes[node];
  if (at.type != '(' && at.type != ')') return out;
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(at.count, 256); ++i)
    out.push_back(identifier(raw(object_.links[at.first + i])));
  return out;
}

bool Decompiler::acts(const Expression& expression) {
  if (expression.atom) return false;
  if (expression.kind != Kind::plain && expression.kind != Kind::formatted) return false;
  return expression.text.find_first_of("([.") != std::string::npos;
}

void Decompiler::discard(const Expression& expression) {
  if (acts(expression)) line(value(expression));
}

// An expression as a value on its own.
std::string Decompiler::value(const Expression& expression) {
  switch (expression.kind) {
  case Kind::slice:
    return "slice(" + expression.other + ")";
  case Kind::formatted:
    return "str(" + expression.text + ")";
  case Kind::module_root:
    return "__import__('" + expression.text.substr(0, expression.text.find('.')) + "')";
  case Kind::from_module:
    return "__import__('" + expression.text + "', fromlist=['*'])";
  case Kind::null:
    return "None";
  default:
    return expression.text;
  }
}

// The same before ".", "(" or "[".
std::string Decompiler::operand(const Expression& expression) {
  std::string text = value(expression);
  const bool number = !text.empty() && ((text[0] >= '0' && text[0] <= '9') || text[0] == '-');
  return number ? "(" + text + ")" : text;
}

void Decompiler::push(Expression expression) {
  if (expression.text.size() > k_long_expression && expression.kind == Kind::plain) {
    const std::string called = fresh("v");
    line(called + " = " + expression.text);
    expression.text = called;
    expression.atom = true;
    expression.node = k_no_node;
  }
  memory_ += sizeof(Cell) + expression.text.capacity();
  if (memory_ > k_memory) {
    complete_ = false;
    return;
  }
  const std::uint32_t below = frame_->stack;
  cells_.push_back({std::move(expression), below, cells_[below].depth + 1});
  frame_->stack = static_cast<std::uint32_t>(cells_.size() - 1);
}

void Decompiler::push(std::string text) {
  push(Expression{.text = std::move(text)});
}

void Decompiler::push_name(std::string text) {
  push(Expression{.text = std::move(text), .atom = true});
}

Decompiler::Expression Decompiler::pop() {
  if (frame_->stack == frame_->bottom)
    return {.text = "_unknown", .kind = Kind::lost, .atom = true};
  const Cell& top = cells_[frame_->stack];
  frame_->stack = top.below;
  return top.expression;
}

// 1 is the top.
const Decompiler::Expression& Decompiler::peek(std::uint32_t depth) const {
  std::uint32_t at = frame_->stack;
  for (std::uint32_t i = 1; i < depth && at != frame_->bottom; ++i)
    at = cells_[at].below;
  return cells_[at].expression; // that of the bottom is lost
}

std::vector<Decompiler::Expression> Decompiler::pop_many(std::uint32_t count) {
  const std::uint32_t there = cells_[frame_->stack].depth - cells_[frame_->bottom].depth;
  std::vector<Expression> out(std::min(count, there));
  for (std::size_t i = out.size(); i-- > 0;)
    out[i] = pop();
  return out;
}

// Gives what lies at a depth a name of its own.
void Decompiler::spill_at(std::uint32_t depth) {
  if (depth > k_deepest || peek(depth).atom || peek(depth).kind != Kind::plain) return;
  std::vector<Expression> above = pop_many(depth - 1);
  const Expression what = pop();
  const std::string called = fresh("v");
  line(called + " = " + what.text);
  push_name(called);
  for (Expression& expression: above)
    push(std::move(expression));
}

// Before a variable is changed: what on the stack still means its old value.
void Decompiler::spill_mentions(std::string_view name) {
  std::uint32_t deepest = 0;
  std::uint32_t at = frame_->stack;
  constexpr std::uint32_t k_looked_at = 16;
  std::array<bool, k_looked_at + 1> mentions{};
  for (std::uint32_t depth = 1; depth <= k_looked_at && at != frame_->bottom; ++depth) {
    const Expression& expression = cells_[at].expression;
    if (expression.kind == Kind::plain && expression.node == k_no_node &&
        mentions_name(expression.text, name)) {
      deepest = depth;
      mentions[depth] = true;
    }
    at = cells_[at].below;
  }
  if (deepest == 0) return;
  std::vector<Expression> all = pop_many(deepest);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (mentions[all.size() - i]) {
      const std::string called = fresh("v");
      line(called + " = " + all[i].text);
      all[i] = {.text = called, .atom = true};
    }
    push(std::move(all[i]));
  }
}

void Decompiler::copy_up(std::uint32_t depth) {
  if (depth == 0 || depth > k_deepest) return push_lost();
  spill_at(depth);
  push(Expression(peek(depth)));
}

// Exchanges the top with what lies at a depth.
void Decompiler::swap_with(std::uint32_t depth) {
  if (depth < 2 || depth > k_deepest) return;
  std::vector<Expression> all = pop_many(depth);
  if (all.size() >= 2) std::swap(all.front(), all.back());
  for (Expression& expression: all)
    push(std::move(expression));
}

// Puts the top below depth - 1 others.
void Decompiler::rotate(std::uint32_t depth) {
  if (depth < 2 || depth > k_deepest) return;
  std::vector<Expression> all = pop_many(depth);
  if (all.size() >= 2) std::rotate(all.begin(), all.end() - 1, all.end());
  for (Expression& expression: all)
    push(std::move(expression));
}

} // namespace hubgate::marshal
