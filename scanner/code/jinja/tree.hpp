#pragma once
// Jinja2 templates as a tree: what jinja2.lexer and jinja2.parser make of a text with the default
// delimiters, and the tags that model libraries add (`generation`, loop controls, `do`, i18n).
// Nothing is rendered. Nodes live in one arena and name each other by index, so that a template
// that nests deeply costs no deep destructors; nesting itself is bounded (k_max_depth).
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::jinja {

inline constexpr std::size_t k_max_template = std::size_t{1} << 20; ///< bytes
inline constexpr std::size_t k_max_nodes = std::size_t{1} << 20;
inline constexpr std::uint32_t k_max_depth = 120; ///< of expressions in brackets, and of blocks
inline constexpr std::uint32_t k_max_chain = 500; ///< a ~ b ~ c…: height of one expression

enum class Token : std::uint8_t {
  data,       ///< text outside of tags, `text` is what is written out
  expression, ///< {{
  statement,  ///< {%
  tag_end,    ///< }} or %}
  name,
  string, ///< `text` is decoded
  number,
  symbol, ///< operator or bracket
  end,
};

struct Lexeme {
  Token kind = Token::end;
  std::uint32_t offset = 0;
  std::string text;
};

/// Cuts a template into lexemes; ends with Token::end. `problem` is set to what no lexer accepts
/// (the lexer goes on behind it), and stays empty for a well-formed text.
std::vector<Lexeme> lex(std::string_view text, std::string& problem);

enum class Kind : std::uint8_t {
  // statements; children as listed
  body,   ///< statements
  data,   ///< text
  output, ///< expression
  if_,    ///< branch…
  branch, ///< condition or nothing (Kind::nothing), body
  for_,   ///< target, iterated, filter or nothing, body, else body or nothing
  set,    ///< target, value; of a block set the value is a body
  macro,  ///< text = name; parameters as keyword nodes (text = name, child = default), then body
  call_block,   ///< call, body
  filter_block, ///< filter applied to a body
  block,        ///< text = name; body
  with,         ///< set nodes, then body
  generation,   ///< body
  reach,        ///< include, import, from, extends: text = which; expression
  do_,          ///< expression
  other,        ///< any other tag: text = its name; expressions that it holds, body if it has one
  broken, ///< a tag that could not be parsed: text = its source, names and strings as children
  // expressions
  nothing,
  name,      ///< text
  string,    ///< text
  number,    ///< text
  list,      ///< items (tuples and sets of arguments too)
  dict,      ///< key, value, key, value…
  attribute, ///< object; text = name
  subscript, ///< object, index
  slice,     ///< begin, end, step (each may be nothing)
  call,      ///< callee, arguments (keyword nodes among them)
  keyword,   ///< text = name; value
  filter,    ///< operand, arguments; text = name
  test,      ///< operand, arguments; text = name
  unary,     ///< operand; text = operator
  binary,    ///< left, right; text = operator: + - * / // % ** ~ and or
  compare,   ///< left, right; text = operator: == != < <= > >= in "not in"
  condition, ///< value, test, other
};

using NodeId = std::uint32_t;

struct Node {
  Kind kind = Kind::nothing;
  std::uint32_t offset = 0;
  std::uint32_t height = 1; ///< of an expression
  std::string text;
  std::vector<NodeId> children;
};

struct Tree {
  std::vector<Node> nodes;
  NodeId root = 0;
  std::string problem; ///< first thing that Jinja would refuse, "" = none
  std::uint32_t problem_offset = 0;
  bool too_large = false; ///< a bound of this header was hit: the tree is not whole

  const Node& at(NodeId id) const { return nodes[id]; }
};

/// Parses a template. Never fails: a tag that can't be parsed becomes Kind::broken, and the parser
/// goes on behind it.
Tree parse(std::string_view text);

/// Whether a template names what only the loaders of chat models pass to one.
bool talks(const Tree& tree);

} // namespace hubgate::jinja
