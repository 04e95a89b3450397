#include "scanner/code/python/parser.hpp"

#include <array>
#include <utility>

namespace hubgate::python {
namespace {

struct Operator {
  std::string_view text;
  int level;
  char op;
};

// Levels of Python's grammar, from "or" (0) to "*" (9).
constexpr std::array<Operator, 20> k_operators{{
    {"==", 3, '='}, {"!=", 3, '!'}, {"<>", 3, '!'}, {"<", 3, '<'}, {">", 3, '>'},
    {"<=", 3, '<'}, {">=", 3, '>'}, {"|", 4, '|'},  {"^", 5, '^'}, {"&", 6, '&'},
    {"<<", 7, 'l'}, {">>", 7, 'r'}, {"+", 8, '+'},  {"-", 8, '-'}, {"*", 9, '*'},
    {"/", 9, '/'},  {"//", 9, 'd'}, {"%", 9, '%'},  {"@", 9, '@'}, {"**", 10, 'p'},
}};

} // namespace

NodeId Parser::add(NodeKind kind, char op, std::uint32_t begin, std::uint32_t end,
                   std::span<const NodeId> kids) {
  if (tree_.nodes.size() >= k_max_nodes) {
    tree_.too_large = true;
    failed_ = true;
    return k_no_node;
  }
  std::uint16_t depth = 0;
  for (const NodeId kid: kids)
    depth = std::max(depth, tree_.nodes[kid].depth);
  if (depth >= k_max_depth) {
    tree_.too_deep = true;
    failed_ = true;
    return k_no_node;
  }
  Node node{kind,
            op,
            static_cast<std::uint16_t>(depth + 1),
            begin,
            std::max(begin, end),
            static_cast<std::uint32_t>(tree_.children.size()),
            static_cast<std::uint32_t>(kids.size())};
  tree_.children.insert(tree_.children.end(), kids.begin(), kids.end());
  tree_.nodes.push_back(node);
  if (kind == NodeKind::call || kind == NodeKind::import || kind == NodeKind::import_from ||
      kind == NodeKind::exec || kind == NodeKind::class_def)
    ++tree_.calls;
  return static_cast<NodeId>(tree_.nodes.size() - 1);
}

bool Parser::at_expression() const {
  switch (token_.kind) {
  case TokenKind::name:
    for (const std::string_view word: {"in", "is", "if", "else", "for", "and", "or", "as", "async"})
      if (text() == word) return false;
    return true;
  case TokenKind::number:
  case TokenKind::string:
  case TokenKind::fstring:
    return true;
  case TokenKind::op:
    for (const std::string_view op: {"(", "[", "{", "-", "+", "~", "*", "**", "...", "`"})
      if (text() == op) return true;
    return false;
  default:
    return false;
  }
}

NodeId Parser::expression_list() {
  const std::uint32_t begin = token_.begin;
  const NodeId first = expression();
  if (failed_ || !is(",")) return first;
  std::vector<NodeId> items{first};
  while (!failed_ && accept(",")) {
    if (!at_expression()) break;
    items.push_back(expression());
  }
  return add(NodeKind::tuple, 0, begin, last_end_, items);
}

NodeId Parser::expression() {
  const Nesting nesting(*this);
  if (nesting.too_deep()) return fail(), k_no_node;
  const std::uint32_t begin = token_.begin;
  if (is("*") || is("**")) {
    const char op = is("*") ? '*' : 'd';
    advance();
    const NodeId value = expression();
    return failed_ ? k_no_node : add(NodeKind::star, begin, {value}, op);
  }
  if (is_word("lambda")) return lambda();
  if (is_word("yield")) {
    advance();
    const char op = accept_word("from") ? 'f' : 'y';
    const NodeId value = at_expression() ? expression_list() : k_no_node;
    return failed_ ? k_no_node : add(NodeKind::await, begin, {value}, op);
  }
  const NodeId value = binary(0);
  if (failed_) return k_no_node;
  if (is(":=")) {
    advance();
    const NodeId right = expression();
    return failed_ ? k_no_node : add(NodeKind::walrus, begin, {value, right});
  }
  if (!is_word("if") || no_in_) return value;
  advance();
  const NodeId condition = binary(0);
  if (failed_ || !accept_word("else")) return fail(), k_no_node;
  const NodeId otherwise = expression();
  return failed_ ? k_no_node : add(NodeKind::conditional, begin, {value, condition, otherwise});
}

// Levels 0 "or", 1 "and", 2 "not", 3 comparisons, 4 to 9 operators, 10 unary and power.
NodeId Parser::binary(int level) {
  const std::uint32_t begin = token_.begin;
  if (level == 2) {
    if (!is_word("not")) return binary(3);
    const Nesting nesting(*this);
    if (nesting.too_deep()) return fail(), k_no_node;
    advance();
    const NodeId value = binary(2);
    return failed_ ? k_no_node : add(NodeKind::unary, begin, {value}, 'n');
  }
  if (level >= 10) return unary();
  NodeId left = binary(level + 1);
  std::vector<NodeId> operands;
  char current = 0;
  const auto close = [&] {
    if (operands.empty()) return;
    const NodeKind kind = level <= 1   ? NodeKind::boolean
                          : level == 3 ? NodeKind::compare
                                       : NodeKind::binary;
    left = add(kind, current, begin, last_end_, operands);
    operands.clear();
  };
  while (!failed_) {
    char op = 0;
    if (level <= 1) {
      if (is_word(level == 0 ? "or" : "and")) op = level == 0 ? 'o' : 'a';
    } else if (token_.kind == TokenKind::op) {
      for (const Operator& candidate: k_operators)
        if (candidate.level == level && candidate.text == text()) op = candidate.op;
    } else if (level == 3 && !no_in_) {
      if (is_word("in")) op = 'i';
      if (is_word("is")) op = 's';
      if (is_word("not")) op = 'i';
    }
    if (op == 0) break;
    const bool was_not = is_word("not");
    const bool was_is = is_word("is");
    advance();
    if (was_not && !accept_word("in")) return fail(), k_no_node;
    if (was_is) accept_word("not");
    // A comparison is one node whatever its operators; other operators only among themselves.
    if (!operands.empty() && op != current && level != 3) close();
    if (operands.empty()) {
      operands.push_back(left);
      current = op;
    }
    operands.push_back(binary(level + 1));
  }
  if (failed_) return k_no_node;
  close();
  return failed_ ? k_no_node : left;
}

NodeId Parser::unary() {
  const std::uint32_t begin = token_.begin;
  if (is("-") || is("+") || is("~")) {
    const Nesting nesting(*this);
    if (nesting.too_deep()) return fail(), k_no_node;
    const char op = text().front();
    advance();
    const NodeId value = unary();
    return failed_ ? k_no_node : add(NodeKind::unary, begin, {value}, op);
  }
  if (is_word("await")) {
    advance();
    const NodeId value = postfix();
    return failed_ ? k_no_node : add(NodeKind::await, begin, {value});
  }
  const NodeId base = postfix();
  if (failed_ || !is("**")) return base;
  const Nesting nesting(*this);
  if (nesting.too_deep()) return fail(), k_no_node;
  advance();
  const NodeId power = unary();
  return failed_ ? k_no_node : add(NodeKind::binary, begin, {base, power}, 'p');
}

NodeId Parser::postfix() {
  const std::uint32_t begin = token_.begin;
  NodeId value = atom();
  while (!failed_) {
    if (accept(".")) {
      if (token_.kind != TokenKind::name) return fail(), k_no_node;
      const NodeId name = leaf(NodeKind::name);
      value = add(NodeKind::attribute, begin, {value, name});
    } else if (is("(")) {
      value = arguments(NodeKind::call, value, begin);
    } else if (accept("[")) {
      const NodeId inside = index();
      if (failed_ || !expect("]")) return k_no_node;
      value = add(NodeKind::subscript, begin, {value, inside});
    } else {
      break;
    }
  }
  return failed_ ? k_no_node : value;
}

NodeId Parser::arguments(NodeKind kind, NodeId callee, std::uint32_t begin) {
  const Nesting nesting(*this);
  if (nesting.too_deep()) return fail(), k_no_node;
  std::vector<NodeId> items;
  if (kind == NodeKind::call) items.push_back(callee);
  const bool outer = std::exchange(no_in_, false);
  advance();
  while (!failed_ && !is(")")) {
    const std::uint32_t start = token_.begin;
    NodeId item = expression();
    if (failed_) break;
    if (is("=") && tree_[item].kind == NodeKind::name) {
      advance();
      const NodeId value = expression();
      if (failed_) break;
      item = add(NodeKind::keyword, start, {item, value});
    } else if (is_word("for") || is_word("async")) {
      item = comprehension(item, k_no_node, '(', start);
    }
    items.push_back(item);
    if (!accept(",")) break;
  }
  no_in_ = outer;
  if (failed_ || !expect(")")) return k_no_node;
  return add(kind, 0, begin, last_end_, items);
}

NodeId Parser::index() {
  const Nesting nesting(*this);
  if (nesting.too_deep()) return fail(), k_no_node;
  const bool outer = std::exchange(no_in_, false);
  const std::uint32_t begin = token_.begin;
  std::vector<NodeId> items;
  bool tuple = false;
  while (!failed_ && !is("]")) {
    const std::uint32_t start = token_.begin;
    NodeId item = is(":") ? k_no_node : expression();
    if (!failed_ && is(":")) {
      std::array<NodeId, 3> parts{item, k_no_node, k_no_node};
      for (std::size_t i = 1; i < 3 && accept(":"); ++i)
        if (!failed_ && at_expression()) parts[i] = expression();
      if (failed_) break;
      item = add(NodeKind::slice, 0, start, last_end_, parts);
    }
    items.push_back(item);
    if (!accept(",")) break;
    tuple = true;
  }
  no_in_ = outer;
  if (failed_ || items.empty()) return fail(), k_no_node;
  return tuple ? add(NodeKind::tuple, 0, begin, last_end_, items) : items.front();
}

NodeId Parser::atom() {
  const Nesting nesting(*this);
  if (nesting.too_deep()) return fail(), k_no_node;
  switch (token_.kind) {
  case TokenKind::name:
    for (const std::string_view word:
         {"if",    "else", "for",   "in",     "is",     "and", "or",     "not",
          "while", "def",  "class", "import", "return", "try", "except", "with",
          "from",  "as",   "elif",  "raise",  "pass",   "del"})
      if (text() == word) return fail(), k_no_node;
    return leaf(NodeKind::name);
  case TokenKind::number:
    return leaf(NodeKind::number);
  case TokenKind::string:
  case TokenKind::fstring:
    return strings();
  case TokenKind::op:
    break;
  default:
    return fail(), k_no_node;
  }
  if (is("(")) return parenthesised();
  if (is("[")) return bracketed();
  if (is("{")) return braced();
  if (is("...")) return leaf(NodeKind::ellipsis);
  if (is("`")) { // Python 2: repr()
    const std::uint32_t begin = token_.begin;
    advance();
    const NodeId value = expression_list();
    if (failed_ || !expect("`")) return k_no_node;
    return add(NodeKind::unary, begin, {value}, '+');
  }
  return fail(), k_no_node;
}

NodeId Parser::strings() {
  const std::uint32_t begin = token_.begin;
  std::vector<NodeId> parts;
  while (!failed_ && (token_.kind == TokenKind::string || token_.kind == TokenKind::fstring)) {
    if (token_.kind == TokenKind::string) {
      parts.push_back(leaf(NodeKind::string));
    } else {
      const Token token = token_;
      advance();
      parts.push_back(formatted(token));
    }
  }
  if (failed_) return k_no_node;
  return parts.size() == 1 ? parts.front() : add(NodeKind::fstring, 'c', begin, last_end_, parts);
}

// The parts of an f-string: literal text as string nodes without quotes (op 'p'), fields parsed.
NodeId Parser::formatted(Token token) {
  std::uint32_t at = token.begin;
  bool raw = false;
  for (; tree_.text[at] != '"' && tree_.text[at] != '\''; ++at)
    raw = raw || (tree_.text[at] | 0x20) == 'r';
  const char quote = tree_.text[at];
  const bool triple = token.end - at >= 6 && tree_.text[at + 1] == quote;
  const std::uint32_t edge = triple ? 3 : 1;
  std::vector<NodeId> parts;
  if (token.end >= at + 2 * edge) format_parts(at + edge, token.end - edge, raw, parts);
  return add(NodeKind::fstring, 0, token.begin, token.end, parts);
}

void Parser::format_parts(std::uint32_t at, std::uint32_t end, bool raw,
                          std::vector<NodeId>& parts) {
  const Nesting nesting(*this);
  if (nesting.too_deep()) {
    fail();
    return;
  }
  const std::string_view text = tree_.text;
  std::uint32_t literal = at;
  const auto flush = [&](std::uint32_t upto) {
    if (upto > literal) parts.push_back(add(NodeKind::string, raw ? 'R' : 'P', literal, upto, {}));
  };
  while (at < end && !failed_) {
    if (text[at] == '\\' && !raw) {
      // \N{NAME} is a character, not a field.
      if (at + 2 < end && text[at + 1] == 'N' && text[at + 2] == '{') {
        while (at < end && text[at] != '}')
          ++at;
        continue;
      }
      at += 2;
      continue;
    }
    if ((text[at] == '{' || text[at] == '}') && at + 1 < end && text[at + 1] == text[at]) {
      flush(at + 1);
      at += 2;
      literal = at;
      continue;
    }
    if (text[at] != '{') {
      ++at;
      continue;
    }
    flush(at);
    std::uint32_t stop = at + 1;
    Parser inner(tree_, at + 1, end, true, depth_);
    const NodeId value = inner.field(stop);
    if (value != k_no_node) parts.push_back(value);
    // Behind the expression: "=", "!r", ":format with {fields}", "}".
    at = stop;
    std::uint32_t open = 1;
    literal = at;
    while (at < end && open > 0) {
      if (text[at] == '{') {
        Parser nested(tree_, at + 1, end, true, depth_);
        std::uint32_t nested_stop = at + 1;
        const NodeId width = nested.field(nested_stop);
        if (width != k_no_node) parts.push_back(width);
        at = std::max(nested_stop, at + 1);
        ++open;
        continue;
      }
      if (text[at] == '}') --open;
      ++at;
    }
    literal = at;
  }
  flush(std::min(at, end));
}

NodeId Parser::field(std::uint32_t& end) {
  const NodeId value = expression_list();
  // token_ is the first token behind the expression; on an error the text is skipped by brackets.
  end = failed_ ? end : token_.begin;
  return failed_ ? k_no_node : value;
}

NodeId Parser::parenthesised() {
  const std::uint32_t begin = token_.begin;
  const bool outer = std::exchange(no_in_, false);
  advance();
  std::vector<NodeId> items;
  bool tuple = false;
  while (!failed_ && !is(")")) {
    const std::uint32_t start = token_.begin;
    NodeId item = expression();
    if (!failed_ && (is_word("for") || is_word("async")))
      item = comprehension(item, k_no_node, '(', start);
    // Patterns: case (x as y)
    if (!failed_ && accept_word("as")) expression();
    items.push_back(item);
    if (!accept(",")) break;
    tuple = true;
  }
  no_in_ = outer;
  if (failed_ || !expect(")")) return k_no_node;
  if (items.size() == 1 && !tuple) return items.front();
  return add(NodeKind::tuple, 0, begin, last_end_, items);
}

NodeId Parser::bracketed() {
  const std::uint32_t begin = token_.begin;
  const bool outer = std::exchange(no_in_, false);
  advance();
  std::vector<NodeId> items;
  NodeId out = k_no_node;
  while (!failed_ && !is("]")) {
    const NodeId item = expression();
    if (!failed_ && (is_word("for") || is_word("async"))) {
      out = comprehension(item, k_no_node, '[', begin);
      break;
    }
    if (!failed_ && accept_word("as")) expression();
    items.push_back(item);
    if (!accept(",")) break;
  }
  no_in_ = outer;
  if (failed_ || !expect("]")) return k_no_node;
  return out != k_no_node ? out : add(NodeKind::list, 0, begin, last_end_, items);
}

NodeId Parser::braced() {
  const std::uint32_t begin = token_.begin;
  const bool outer = std::exchange(no_in_, false);
  advance();
  std::vector<NodeId> items;
  NodeId out = k_no_node;
  bool dict = is("}");
  while (!failed_ && !is("}")) {
    if (accept("**")) {
      dict = true;
      items.push_back(k_no_node);
      items.push_back(expression());
    } else {
      const NodeId key = expression();
      if (!failed_ && accept(":")) {
        dict = true;
        const NodeId value = expression();
        if (!failed_ && accept_word("as")) expression();
        if (!failed_ && (is_word("for") || is_word("async"))) {
          out = comprehension(key, value, ':', begin);
          break;
        }
        items.push_back(key);
        items.push_back(value);
      } else if (!failed_ && (is_word("for") || is_word("async"))) {
        out = comprehension(key, k_no_node, '{', begin);
        break;
      } else {
        items.push_back(key);
      }
    }
    if (!accept(",")) break;
  }
  no_in_ = outer;
  if (failed_ || !expect("}")) return k_no_node;
  if (out != k_no_node) return out;
  if (dict && items.size() % 2 != 0) return fail(), k_no_node;
  return add(dict ? NodeKind::dict : NodeKind::set, 0, begin, last_end_, items);
}

NodeId Parser::comprehension(NodeId element, NodeId value, char op, std::uint32_t begin) {
  std::vector<NodeId> kids{element};
  if (op == ':') kids.push_back(value);
  while (!failed_ && (is_word("for") || is_word("async"))) {
    const std::uint32_t start = token_.begin;
    accept_word("async");
    if (!accept_word("for")) return fail(), k_no_node;
    no_in_ = true;
    const NodeId target = expression_list();
    no_in_ = false;
    if (failed_ || !accept_word("in")) return fail(), k_no_node;
    // Without brackets "if" begins the filter, unless an "else" follows.
    NodeId iterable = is_word("lambda") ? lambda() : binary(0);
    NodeId filter = k_no_node;
    if (!failed_ && accept_word("if")) {
      filter = is_word("lambda") ? lambda() : binary(0);
      if (!failed_ && accept_word("else")) {
        const NodeId otherwise = expression();
        if (failed_) return k_no_node;
        iterable = add(NodeKind::conditional, start, {iterable, filter, otherwise});
        filter = k_no_node;
      }
    }
    if (failed_) return k_no_node;
    // Python 2: [x for x in 1, 2]
    if (is(",") && op == '[') {
      std::vector<NodeId> more{iterable};
      while (!failed_ && accept(",") && at_expression())
        more.push_back(expression());
      if (failed_) return k_no_node;
      iterable = add(NodeKind::tuple, 0, start, last_end_, more);
    }
    std::vector<NodeId> parts{target, iterable};
    if (filter != k_no_node) parts.push_back(filter);
    if (accept(":=")) expression();
    while (!failed_ && accept_word("if")) {
      NodeId condition = is_word("lambda") ? lambda() : binary(0);
      if (!failed_ && accept(":=")) condition = expression();
      parts.push_back(condition);
    }
    if (failed_) return k_no_node;
    kids.push_back(add(NodeKind::clause, 0, start, last_end_, parts));
  }
  return failed_ ? k_no_node : add(NodeKind::comprehension, op, begin, last_end_, kids);
}

NodeId Parser::lambda() {
  const Nesting nesting(*this);
  if (nesting.too_deep()) return fail(), k_no_node;
  const std::uint32_t begin = token_.begin;
  advance();
  const bool outer = std::exchange(no_in_, false);
  const NodeId params = parameters(":");
  no_in_ = outer;
  if (failed_ || !expect(":")) return k_no_node;
  const NodeId body = expression();
  return failed_ ? k_no_node : add(NodeKind::lambda, begin, {params, body});
}

NodeId Parser::parameters(std::string_view closing) {
  const std::uint32_t begin = token_.begin;
  std::vector<NodeId> items;
  while (!failed_ && !is(closing)) {
    const std::uint32_t start = token_.begin;
    char op = 0;
    if (is("*") || is("**")) {
      op = is("*") ? '*' : 'd';
      advance();
      if (is(",")) { // keyword-only parameters follow
        advance();
        continue;
      }
      if (is(closing)) break;
    } else if (accept("/")) { // positional-only parameters before
      if (!accept(",")) break;
      continue;
    }
    NodeId name = k_no_node;
    if (token_.kind == TokenKind::name)
      name = leaf(NodeKind::name);
    else if (is("(")) // Python 2: a tuple as parameter
      name = parenthesised();
    else
      return fail(), k_no_node;
    NodeId annotation = k_no_node;
    if (closing == ")" && accept(":")) annotation = expression();
    NodeId value = k_no_node;
    if (!failed_ && accept("=")) value = expression();
    if (failed_) return k_no_node;
    items.push_back(add(NodeKind::parameter, start, {name, value, annotation}, op));
    if (!accept(",")) break;
  }
  return failed_ ? k_no_node : add(NodeKind::parameters, 0, begin, last_end_, items);
}

} // namespace hubgate::python
