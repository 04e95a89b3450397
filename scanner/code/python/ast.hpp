#pragma once
// The syntax tree of one unit of Python: flat arrays, no pointers into each other, so that hostile
// input costs a bounded number of bytes a character. Built by parse_python(); read by the analysis.
// The grammar is that of CPython 3.14 and, where it does not contradict, of Python 2.7.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace hubgate::python {

using NodeId = std::uint32_t;
inline constexpr NodeId k_no_node = 0; ///< the id of the placeholder at index 0

/// Children in brackets; [x]: may be missing (k_no_node).
enum class NodeKind : std::uint8_t {
  none,
  // expressions
  name,          ///< text
  number,        ///< text
  string,        ///< the literal with prefix and quotes
  fstring,       ///< (strings and expressions)…; op 'b' never
  ellipsis,      ///<
  tuple,         ///< items…
  list,          ///< items…
  set,           ///< items…
  dict,          ///< key, value, key, value…; a key of k_no_node: ** value
  call,          ///< callee, arguments…
  keyword,       ///< name, value: argument of a call or a class
  star,          ///< value; op '*' or 'd' (**)
  attribute,     ///< object, name
  subscript,     ///< object, index
  slice,         ///< [begin], [end], [step]
  binary,        ///< operands…; op is the operator's first character, 'd' for //, 'p' for **,
                 ///< 'l' and 'r' for shifts; the same operator in a row is one node
  unary,         ///< operand; op '-', '+', '~', 'n' (not)
  boolean,       ///< operands…; op 'a' (and) or 'o' (or)
  compare,       ///< operands…; op of the first: '=', '!', '<', '>', 'i' (in), 's' (is)
  conditional,   ///< value if true, condition, value otherwise
  lambda,        ///< parameters, body
  comprehension, ///< element, [value of a dict], clauses…; op '[', '(', '{', ':'
  clause,        ///< target, iterable, conditions…
  await,         ///< [value]; op 'y' is yield, 'f' is yield from, 0 is await
  walrus,        ///< name, value
  // parts
  parameters, ///< parameter…
  parameter,  ///< name, [default], [annotation]; op '*', 'd' (**) or 0
  alias,      ///< dotted name, [as]
  with_item,  ///< value, [target]
  handler,    ///< [type], [name], block
  // statements
  block,        ///< statements…
  expression,   ///< value
  assign,       ///< target…, value
  aug_assign,   ///< target, value; op as for binary
  ann_assign,   ///< target, annotation, [value]
  return_,      ///< [value]
  raise,        ///< values…
  delete_,      ///< values…
  assert_,      ///< values…
  global,       ///< names…: also nonlocal
  import,       ///< alias…
  import_from,  ///< module (dots included), alias…; op '*': everything
  if_,          ///< test, block, test, block… [block]: an odd count ends with else
  while_,       ///< test, block, [block]
  for_,         ///< target, iterable, block, [block]
  try_,         ///< block, handlers and blocks…
  with,         ///< with_item…, block
  function_def, ///< name, parameters, block, decorators…
  class_def,    ///< name, bases (a tuple of arguments), block, decorators…
  match,        ///< subject, (pattern, block)…; "P as n" is a walrus, "P if c" a boolean
  print,        ///< values…: Python 2
  exec,         ///< values…: Python 2
  simple,       ///< pass, break, continue
  error,        ///< a line that is no Python
};

struct Node {
  NodeKind kind = NodeKind::none;
  char op = 0;
  std::uint16_t depth = 0; ///< of the deepest path below
  std::uint32_t begin = 0; ///< in the text
  std::uint32_t end = 0;
  std::uint32_t first = 0; ///< of the children in Tree::children
  std::uint32_t count = 0;
};

struct Tree {
  std::string_view text;
  std::vector<Node> nodes{Node{}};
  std::vector<NodeId> children;
  NodeId root = k_no_node; ///< a block
  std::uint32_t statements = 0;
  std::uint32_t errors = 0;      ///< lines that are no Python
  std::uint32_t first_error = 0; ///< offset of the first
  std::uint32_t calls = 0; ///< calls, imports, decorators, classes: what can do anything at all
  bool too_deep = false;   ///< something was nested deeper than k_max_depth and left out
  bool too_large = false;  ///< more than k_max_nodes: the rest was left out
  bool gave_up = false;    ///< mostly errors: this is no Python

  const Node& operator[](NodeId id) const { return nodes[id]; }
  std::span<const NodeId> kids(NodeId id) const {
    return {children.data() + nodes[id].first, nodes[id].count};
  }
  NodeId kid(NodeId id, std::size_t i) const {
    return i < nodes[id].count ? children[nodes[id].first + i] : k_no_node;
  }
  std::string_view slice(NodeId id) const {
    return text.substr(nodes[id].begin, nodes[id].end - nodes[id].begin);
  }
};

/// Nesting of expressions and blocks. CPython refuses 200 open brackets and 100 indentations;
/// operators may nest deeper there.
inline constexpr std::uint16_t k_max_depth = 500;
/// A text of 16 MiB has fewer: about 5 bytes a node in dense code.
inline constexpr std::size_t k_max_nodes = std::size_t{6} << 20;
/// The longest text that is parsed.
inline constexpr std::size_t k_max_text = std::size_t{16} << 20;

/// Parses `text` (UTF-8 or another superset of ASCII; at most k_max_text bytes), which must outlive
/// the tree. Never fails: lines that are no Python become NodeKind::error. Linear in the text.
Tree parse_python(std::string_view text);

} // namespace hubgate::python
