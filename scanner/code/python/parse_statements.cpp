#include "scanner/code/python/parser.hpp"

namespace hubgate::python {
namespace {

/// Lines that are no Python, before and in relation to those that are, after which a text is
/// something else.
constexpr std::uint32_t k_errors_allowed = 40;

} // namespace

void Parser::advance() {
  last_end_ = token_.end;
  token_ = lexer_.next();
}

NodeId Parser::file() {
  std::vector<NodeId> out;
  while (token_.kind != TokenKind::end && !tree_.gave_up && !tree_.too_large)
    statement(out);
  failed_ = false;
  return add(NodeKind::block, 0, 0, static_cast<std::uint32_t>(tree_.text.size()), out);
}

// One line (perhaps of several statements) or one compound statement.
void Parser::statement(std::vector<NodeId>& out) {
  failed_ = false;
  if (token_.kind == TokenKind::newline || token_.kind == TokenKind::indent ||
      token_.kind == TokenKind::dedent) {
    // An indentation that nothing announced: its lines are read like any other.
    advance();
    return;
  }
  const std::uint32_t begin = token_.begin;
  const Nesting nesting(*this);
  if (nesting.too_deep()) {
    fail();
  } else {
    bool matched = false;
    const NodeId compound = compound_statement(matched);
    if (matched) {
      // What could be read of a broken one counts too.
      if (compound != k_no_node) out.push_back(compound);
    } else {
      simple_statements(out);
    }
  }
  if (failed_)
    recover(begin, out);
  else
    ++tree_.statements;
}

void Parser::recover(std::uint32_t begin, std::vector<NodeId>& out) {
  failed_ = false;
  lexer_.leave_brackets();
  if (tree_.errors++ == 0) tree_.first_error = begin;
  if (tree_.errors > k_errors_allowed && tree_.errors > tree_.statements / 4) tree_.gave_up = true;
  // A header that can't be read still has a body that can: the indent that follows is skipped.
  while (token_.kind != TokenKind::newline && token_.kind != TokenKind::end)
    advance();
  if (token_.kind == TokenKind::newline) advance();
  const NodeId error = add(NodeKind::error, 0, begin, last_end_, {});
  if (error != k_no_node) out.push_back(error);
}

void Parser::simple_statements(std::vector<NodeId>& out) {
  for (;;) {
    const NodeId node = simple_statement();
    if (failed_) return;
    out.push_back(node);
    if (!accept(";")) break;
    if (token_.kind == TokenKind::newline || token_.kind == TokenKind::end) break;
  }
  if (token_.kind == TokenKind::newline)
    advance();
  else if (token_.kind != TokenKind::end && token_.kind != TokenKind::dedent)
    fail();
}

NodeId Parser::word_and_values(NodeKind kind) {
  const std::uint32_t begin = token_.begin;
  advance();
  std::vector<NodeId> values;
  if (kind == NodeKind::print && accept(">>") && !failed_) {
    values.push_back(expression());
    accept(",");
  }
  while (!failed_ && at_expression()) {
    values.push_back(expression());
    if (!failed_ && (accept_word("from") || accept_word("in"))) continue;
    if (!accept(",")) break;
  }
  return failed_ ? k_no_node : add(kind, 0, begin, last_end_, values);
}

NodeId Parser::simple_statement() {
  if (token_.kind != TokenKind::name) return expression_statement();
  const std::string_view word = text();
  if (word == "import") return import_statement();
  if (word == "from") return from_statement();
  if (word == "return") {
    const std::uint32_t begin = token_.begin;
    advance();
    const NodeId value = at_expression() ? expression_list() : k_no_node;
    return failed_ ? k_no_node : add(NodeKind::return_, begin, {value});
  }
  if (word == "pass" || word == "break" || word == "continue") return leaf(NodeKind::simple);
  if (word == "raise") return word_and_values(NodeKind::raise);
  if (word == "del") return word_and_values(NodeKind::delete_);
  if (word == "assert") return word_and_values(NodeKind::assert_);
  if (word == "global" || word == "nonlocal") return word_and_values(NodeKind::global);
  if (word == "print" || word == "exec" || word == "type") {
    const Lexer before = lexer_;
    const Token token = token_;
    advance();
    const bool value = token_.kind == TokenKind::string || token_.kind == TokenKind::fstring ||
                       token_.kind == TokenKind::number ||
                       (token_.kind == TokenKind::name && at_expression() && !is_word("not")) ||
                       (word == "print" && is(">>"));
    if (word == "type" && value && token_.kind == TokenKind::name) return expression_statement();
    lexer_ = before;
    token_ = token;
    if (value && word != "type")
      return word_and_values(word == "print" ? NodeKind::print : NodeKind::exec);
  }
  return expression_statement();
}

NodeId Parser::expression_statement() {
  const std::uint32_t begin = token_.begin;
  const NodeId first = expression_list();
  if (failed_) return k_no_node;
  if (accept(":")) {
    const NodeId annotation = expression();
    NodeId value = k_no_node;
    if (!failed_ && accept("=")) value = expression_list();
    return failed_ ? k_no_node : add(NodeKind::ann_assign, begin, {first, annotation, value});
  }
  if (is("=")) {
    std::vector<NodeId> items{first};
    while (!failed_ && accept("="))
      items.push_back(expression_list());
    return failed_ ? k_no_node : add(NodeKind::assign, 0, begin, last_end_, items);
  }
  if (token_.kind == TokenKind::op && text().size() >= 2 && text().back() == '=' && !is("==") &&
      !is("!=") && !is("<=") && !is(">=") && !is(":=")) {
    const std::string_view op = text();
    const char code = op == "//="   ? 'd'
                      : op == "**=" ? 'p'
                      : op == "<<=" ? 'l'
                      : op == ">>=" ? 'r'
                                    : op.front();
    advance();
    const NodeId value = expression_list();
    return failed_ ? k_no_node : add(NodeKind::aug_assign, begin, {first, value}, code);
  }
  return add(NodeKind::expression, begin, {first});
}

NodeId Parser::dotted_name() {
  const std::uint32_t begin = token_.begin;
  while (is(".") || is("..."))
    advance();
  if (token_.kind == TokenKind::name && !is_word("import")) {
    advance();
    while (accept(".")) {
      if (token_.kind != TokenKind::name) return fail(), k_no_node;
      advance();
    }
  } else if (last_end_ <= begin) {
    return fail(), k_no_node;
  }
  return add(NodeKind::name, begin, {});
}

NodeId Parser::import_statement() {
  const std::uint32_t begin = token_.begin;
  advance();
  std::vector<NodeId> names;
  do {
    const std::uint32_t start = token_.begin;
    const NodeId module = dotted_name();
    NodeId as = k_no_node;
    if (!failed_ && accept_word("as")) {
      if (token_.kind != TokenKind::name) return fail(), k_no_node;
      as = leaf(NodeKind::name);
    }
    if (failed_) return k_no_node;
    names.push_back(add(NodeKind::alias, start, {module, as}));
  } while (accept(","));
  return add(NodeKind::import, 0, begin, last_end_, names);
}

NodeId Parser::from_statement() {
  const std::uint32_t begin = token_.begin;
  advance();
  std::vector<NodeId> names{dotted_name()};
  if (failed_ || !accept_word("import")) return fail(), k_no_node;
  if (accept("*")) return add(NodeKind::import_from, '*', begin, last_end_, names);
  const bool open = accept("(");
  while (token_.kind == TokenKind::name) {
    const std::uint32_t start = token_.begin;
    const NodeId name = leaf(NodeKind::name);
    NodeId as = k_no_node;
    if (accept_word("as")) {
      if (token_.kind != TokenKind::name) return fail(), k_no_node;
      as = leaf(NodeKind::name);
    }
    names.push_back(add(NodeKind::alias, start, {name, as}));
    if (!accept(",")) break;
  }
  if (names.size() == 1 || (open && !expect(")"))) return fail(), k_no_node;
  return add(NodeKind::import_from, 0, begin, last_end_, names);
}

NodeId Parser::suite() {
  const std::uint32_t begin = token_.begin;
  std::vector<NodeId> out;
  if (!expect(":")) return k_no_node;
  if (token_.kind != TokenKind::newline) {
    simple_statements(out);
    return failed_ ? k_no_node : add(NodeKind::block, 0, begin, last_end_, out);
  }
  advance();
  if (token_.kind != TokenKind::indent) return fail(), k_no_node;
  advance();
  while (token_.kind != TokenKind::dedent && token_.kind != TokenKind::end && !tree_.gave_up &&
         !tree_.too_large)
    statement(out);
  failed_ = false;
  if (token_.kind == TokenKind::dedent) advance();
  return add(NodeKind::block, 0, begin, last_end_, out);
}

NodeId Parser::compound_statement(bool& matched) {
  matched = true;
  if (is("@")) return decorated();
  if (token_.kind == TokenKind::name) {
    const std::string_view word = text();
    if (word == "def") return function({});
    if (word == "class") return class_definition({});
    if (word == "if") return if_statement();
    if (word == "for") return loop(NodeKind::for_);
    if (word == "while") return loop(NodeKind::while_);
    if (word == "try") return try_statement();
    if (word == "with") return with_statement();
    if (word == "async") {
      const Lexer before = lexer_;
      const Token token = token_;
      advance();
      if (is_word("def")) return function({});
      if (is_word("for")) return loop(NodeKind::for_);
      if (is_word("with")) return with_statement();
      lexer_ = before;
      token_ = token;
    }
    if (word == "match") {
      const Lexer before = lexer_;
      const Token token = token_;
      const std::size_t nodes = tree_.nodes.size();
      const std::size_t children = tree_.children.size();
      const std::uint32_t calls = tree_.calls;
      const NodeId node = match_statement();
      if (node != k_no_node) return node;
      // A name like any other.
      tree_.nodes.resize(nodes);
      tree_.children.resize(children);
      tree_.calls = calls;
      failed_ = false;
      lexer_ = before;
      token_ = token;
    }
  }
  matched = false;
  return k_no_node;
}

NodeId Parser::if_statement() {
  const std::uint32_t begin = token_.begin;
  std::vector<NodeId> kids;
  do {
    advance();
    kids.push_back(expression());
    if (failed_) break;
    kids.push_back(suite());
  } while (!failed_ && is_word("elif"));
  if (!failed_ && accept_word("else")) kids.push_back(suite());
  return add(NodeKind::if_, 0, begin, last_end_, kids);
}

NodeId Parser::loop(NodeKind kind) {
  const std::uint32_t begin = token_.begin;
  std::vector<NodeId> kids;
  advance();
  if (kind == NodeKind::for_) {
    no_in_ = true;
    kids.push_back(expression_list());
    no_in_ = false;
    if (failed_ || !accept_word("in")) return fail(), k_no_node;
  }
  kids.push_back(expression_list());
  if (failed_) return k_no_node;
  kids.push_back(suite());
  if (!failed_ && accept_word("else")) kids.push_back(suite());
  return add(kind, 0, begin, last_end_, kids);
}

NodeId Parser::try_statement() {
  const std::uint32_t begin = token_.begin;
  advance();
  std::vector<NodeId> kids{suite()};
  while (!failed_ && is_word("except")) {
    const std::uint32_t start = token_.begin;
    advance();
    accept("*");
    NodeId type = k_no_node;
    NodeId name = k_no_node;
    if (!is(":")) {
      type = expression();
      // "as e", Python 2's ", e", 3.14's ", OtherError"
      while (!failed_ && (accept_word("as") || accept(",")))
        name = expression();
    }
    if (failed_) break;
    const NodeId body = suite();
    kids.push_back(add(NodeKind::handler, start, {type, name, body}));
  }
  if (!failed_ && accept_word("else")) kids.push_back(suite());
  if (!failed_ && accept_word("finally")) kids.push_back(suite());
  return add(NodeKind::try_, 0, begin, last_end_, kids);
}

NodeId Parser::with_statement() {
  const std::uint32_t begin = token_.begin;
  const auto items = [&](bool open) {
    std::vector<NodeId> kids;
    while (!failed_ && at_expression()) {
      const std::uint32_t start = token_.begin;
      const NodeId value = expression();
      NodeId target = k_no_node;
      if (!failed_ && accept_word("as")) target = expression();
      if (failed_) break;
      kids.push_back(add(NodeKind::with_item, start, {value, target}));
      if (!accept(",")) break;
    }
    if (open && !failed_) expect(")");
    if (!is(":")) fail();
    return kids;
  };
  advance();
  const Lexer before = lexer_;
  const Token token = token_;
  // with (a as b, c as d): or with (a): or with (a, b)[0] as c:
  std::vector<NodeId> kids;
  if (is("(")) {
    advance();
    kids = items(true);
    if (failed_ && !tree_.too_deep && !tree_.too_large) {
      failed_ = false;
      lexer_ = before;
      token_ = token;
      kids = items(false);
    }
  } else {
    kids = items(false);
  }
  if (failed_) return k_no_node;
  kids.push_back(suite());
  return failed_ ? k_no_node : add(NodeKind::with, 0, begin, last_end_, kids);
}

NodeId Parser::decorated() {
  std::vector<NodeId> decorators;
  while (!failed_ && accept("@")) {
    decorators.push_back(expression());
    ++tree_.calls;
    if (failed_ || token_.kind != TokenKind::newline) return fail(), k_no_node;
    while (token_.kind == TokenKind::newline)
      advance();
  }
  if (failed_) return k_no_node;
  accept_word("async");
  if (is_word("def")) return function(decorators);
  if (is_word("class")) return class_definition(decorators);
  return fail(), k_no_node;
}

NodeId Parser::function(std::span<const NodeId> decorators) {
  const std::uint32_t begin = token_.begin;
  advance();
  if (token_.kind != TokenKind::name) return fail(), k_no_node;
  std::vector<NodeId> kids{leaf(NodeKind::name)};
  // def f[T: int](x): type parameters
  if (accept("[")) {
    index();
    if (failed_ || !expect("]")) return k_no_node;
  }
  if (!expect("(")) return k_no_node;
  kids.push_back(parameters(")"));
  if (failed_ || !expect(")")) return k_no_node;
  if (accept("->")) expression();
  if (failed_) return k_no_node;
  kids.push_back(suite());
  kids.insert(kids.end(), decorators.begin(), decorators.end());
  return failed_ ? k_no_node : add(NodeKind::function_def, 0, begin, last_end_, kids);
}

NodeId Parser::class_definition(std::span<const NodeId> decorators) {
  const std::uint32_t begin = token_.begin;
  advance();
  if (token_.kind != TokenKind::name) return fail(), k_no_node;
  std::vector<NodeId> kids{leaf(NodeKind::name)};
  if (accept("[")) {
    index();
    if (failed_ || !expect("]")) return k_no_node;
  }
  kids.push_back(is("(") ? arguments(NodeKind::tuple, k_no_node, token_.begin)
                         : add(NodeKind::tuple, token_.begin, {}));
  if (failed_) return k_no_node;
  kids.push_back(suite());
  kids.insert(kids.end(), decorators.begin(), decorators.end());
  return failed_ ? k_no_node : add(NodeKind::class_def, 0, begin, last_end_, kids);
}

// k_no_node: this "match" is a name. Once a "case" is seen there is no way back, so that nested
// ones are read once.
NodeId Parser::match_statement() {
  const std::uint32_t begin = token_.begin;
  advance();
  if (!at_expression()) return k_no_node;
  std::vector<NodeId> kids{expression_list()};
  if (failed_ || !accept(":") || token_.kind != TokenKind::newline) return k_no_node;
  advance();
  if (token_.kind != TokenKind::indent) return k_no_node;
  advance();
  if (!is_word("case")) return k_no_node;
  while (!failed_ && is_word("case")) {
    advance();
    no_in_ = true;
    NodeId pattern = expression_list();
    no_in_ = false;
    if (!failed_ && accept_word("as")) {
      const NodeId name = expression();
      if (!failed_) pattern = add(NodeKind::walrus, tree_[pattern].begin, {name, pattern});
    }
    if (!failed_ && accept_word("if")) {
      const NodeId guard = expression();
      if (!failed_) pattern = add(NodeKind::boolean, tree_[pattern].begin, {pattern, guard}, 'a');
    }
    if (failed_) break;
    kids.push_back(pattern);
    kids.push_back(suite());
  }
  if (!failed_ && token_.kind == TokenKind::dedent) advance();
  return add(NodeKind::match, 0, begin, last_end_, kids);
}

Tree parse_python(std::string_view text) {
  Tree tree;
  tree.text = text.substr(0, k_max_text);
  tree.nodes.reserve(text.size() / 8 + 16);
  tree.children.reserve(text.size() / 8 + 16);
  // UTF-8's byte order mark
  const std::uint32_t begin = text.starts_with("\xef\xbb\xbf") ? 3 : 0;
  Parser parser(tree, begin, static_cast<std::uint32_t>(tree.text.size()), false, 0);
  tree.root = parser.file();
  return tree;
}

} // namespace hubgate::python
