#pragma once
// Parser: recursive descent over the tokens, one token ahead. Errors cost a line, never the file.
// Internal to scanner/code/python; callers use parse_python().
#include "scanner/code/python/ast.hpp"
#include "scanner/code/python/lexer.hpp"

namespace hubgate::python {

class Parser {
public:
  Parser(Tree& tree, std::uint32_t begin, std::uint32_t end, bool nested, unsigned depth)
      : tree_(tree), lexer_(tree.text, begin, end, nested), depth_(depth) {
    advance();
  }

  NodeId file();
  /// The inside of a replacement field: a list of expressions up to the end or a bare op.
  NodeId field(std::uint32_t& end);

private:
  class Nesting {
  public:
    explicit Nesting(Parser& parser) : parser_(parser) { ++parser_.depth_; }
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
    bool too_deep() const {
      if (parser_.depth_ <= k_max_depth) return false;
      parser_.tree_.too_deep = true;
      return true;
    }

  private:
    Parser& parser_;
  };

  // tokens
  void advance();
  std::string_view text() const {
    return tree_.text.substr(token_.begin, token_.end - token_.begin);
  }
  bool is(std::string_view op) const { return token_.kind == TokenKind::op && text() == op; }
  bool is_word(std::string_view word) const {
    return token_.kind == TokenKind::name && text() == word;
  }
  bool accept(std::string_view op) {
    if (!is(op)) return false;
    advance();
    return true;
  }
  bool accept_word(std::string_view word) {
    if (!is_word(word)) return false;
    advance();
    return true;
  }
  bool expect(std::string_view op) { return accept(op) || fail(); }
  bool fail() {
    failed_ = true;
    return false;
  }
  bool at_expression() const;

  // nodes
  NodeId add(NodeKind kind, char op, std::uint32_t begin, std::uint32_t end,
             std::span<const NodeId> kids);
  NodeId add(NodeKind kind, std::uint32_t begin, std::initializer_list<NodeId> kids, char op = 0) {
    return add(kind, op, begin, last_end_, {kids.begin(), kids.size()});
  }
  NodeId leaf(NodeKind kind) {
    const Token token = token_;
    advance();
    return add(kind, 0, token.begin, token.end, {});
  }
  std::uint32_t begin_of(NodeId id) const { return tree_[id].begin; }

  // statements: parse_statements.cpp
  void statement(std::vector<NodeId>& out);
  void simple_statements(std::vector<NodeId>& out);
  NodeId simple_statement();
  NodeId expression_statement();
  NodeId compound_statement(bool& matched);
  NodeId suite();
  NodeId import_statement();
  NodeId from_statement();
  NodeId dotted_name();
  NodeId if_statement();
  NodeId loop(NodeKind kind);
  NodeId try_statement();
  NodeId with_statement();
  NodeId function(std::span<const NodeId> decorators);
  NodeId class_definition(std::span<const NodeId> decorators);
  NodeId decorated();
  NodeId match_statement();
  NodeId word_and_values(NodeKind kind);
  void recover(std::uint32_t begin, std::vector<NodeId>& out);

  // expressions: parse_expressions.cpp
  NodeId expression_list(); ///< a, b, *c: also the empty one fails
  NodeId expression();      ///< walrus, lambda, conditional
  NodeId binary(int level);
  NodeId unary();
  NodeId postfix();
  NodeId atom();
  NodeId lambda();
  NodeId parameters(std::string_view closing);
  NodeId strings();
  NodeId formatted(Token token);
  void format_parts(std::uint32_t at, std::uint32_t end, bool raw, std::vector<NodeId>& parts);
  NodeId parenthesised();
  NodeId bracketed();
  NodeId braced();
  NodeId comprehension(NodeId element, NodeId value, char op, std::uint32_t begin);
  NodeId arguments(NodeKind kind, NodeId callee, std::uint32_t begin);
  NodeId index();

  Tree& tree_;
  Lexer lexer_;
  Token token_;
  std::uint32_t last_end_ = 0; ///< of the token before
  unsigned depth_;
  bool failed_ = false; ///< in the statement that is being read
  bool no_in_ = false;  ///< the target of a for: "in" ends it
};

} // namespace hubgate::python
