#pragma once
// The parser's own state, shared by its two files: statements (parser.cpp) and expressions
// (expressions.cpp). Internal to scanner/code/jinja.
#include "scanner/code/jinja/tree.hpp"

namespace hubgate::jinja {

class Parser {
public:
  explicit Parser(std::vector<Lexeme> lexemes, std::string problem) : in_(std::move(lexemes)) {
    tree_.problem = std::move(problem);
    // Node 0 is Kind::nothing: what is left out.
    tree_.nodes.emplace_back();
  }
  Tree run();

private:
  // An open block statement, and where its next statements go.
  struct Open {
    NodeId node;
    NodeId body;
    std::string_view tag; ///< "if", "for"…
  };

  // expressions.cpp
  NodeId expression(bool with_condition = true);
  NodeId any_or();
  NodeId any_and();
  NodeId any_not();
  NodeId comparison();
  NodeId sum();
  NodeId concatenation();
  NodeId product();
  NodeId power();
  NodeId unary(bool with_filter = true);
  NodeId primary();
  NodeId postfix(NodeId node);
  NodeId filters(NodeId node);
  NodeId filter(NodeId operand);
  NodeId test(NodeId operand);
  NodeId subscript(NodeId object);
  NodeId tuple(bool with_condition = true);
  NodeId brackets();
  NodeId braces();
  void arguments(NodeId call);

  // parser.cpp
  void statement();
  void open_tag(const std::string& tag, std::uint32_t offset);
  void middle_tag(const std::string& tag, std::uint32_t offset);
  void close_tag(const std::string& tag, std::uint32_t offset);
  void set(std::uint32_t offset);
  void loop(std::uint32_t offset);
  void macro(std::uint32_t offset);
  void with(std::uint32_t offset);
  void reach(const std::string& tag, std::uint32_t offset);
  void parameters(NodeId node);
  void unknown(const std::string& tag, std::uint32_t offset);
  void finish_tag(std::size_t begin);
  void push(NodeId node, NodeId body, std::string_view tag);
  NodeId body() { return add(Kind::body, look().offset); }
  void emit(NodeId node);

  NodeId add(Kind kind, std::uint32_t offset, std::string text = {},
             std::vector<NodeId> children = {});
  void child(NodeId parent, NodeId node);
  NodeId fail(std::string_view what);

  const Lexeme& look(std::size_t ahead = 0) const {
    return in_[at_ + ahead < in_.size() ? at_ + ahead : in_.size() - 1];
  }
  bool is(Token kind, std::string_view text) const {
    return look().kind == kind && look().text == text;
  }
  bool symbol(std::string_view text) const { return is(Token::symbol, text); }
  bool word(std::string_view text) const { return is(Token::name, text); }
  bool accept(std::string_view text) {
    if (!symbol(text)) return false;
    ++at_;
    return true;
  }
  bool accept_word(std::string_view text) {
    if (!word(text)) return false;
    ++at_;
    return true;
  }
  bool at_tag_end() const { return look().kind == Token::tag_end || look().kind == Token::end; }

  // Counts nesting for as long as it lives.
  struct Deeper {
    explicit Deeper(Parser& parser) : parser_(parser) { ++parser_.depth_; }
    ~Deeper() { --parser_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    Parser& parser_;
  };

  std::vector<Lexeme> in_;
  std::size_t at_ = 0;
  Tree tree_;
  std::vector<Open> open_;
  std::uint32_t depth_ = 0;
  bool failed_ = false; ///< in this tag
};

} // namespace hubgate::jinja
