// Statements: blocks are kept on a stack, so that nesting costs no recursion here.
#include "scanner/code/jinja/parser.hpp"

#include <algorithm>
#include <array>

namespace hubgate::jinja {
namespace {

// Tags that end with "end" + their name.
constexpr std::array<std::string_view, 13> k_blocks{
    "if",         "for",        "macro", "call",  "filter", "block",  "with",
    "autoescape", "generation", "set",   "trans", "cache",  "capture"};

} // namespace

NodeId Parser::add(Kind kind, std::uint32_t offset, std::string text,
                   std::vector<NodeId> children) {
  if (tree_.nodes.size() >= k_max_nodes) {
    tree_.too_large = true;
    failed_ = true;
    return 0;
  }
  std::uint32_t height = 1;
  for (const NodeId node: children)
    height = std::max(height, tree_.nodes[node].height + 1);
  if (height > k_max_chain) {
    tree_.too_large = true;
    failed_ = true;
    return 0;
  }
  // A body's statements come later; its height is that of the blocks, which are bounded.
  if (kind <= Kind::broken) height = 1;
  tree_.nodes.push_back({kind, offset, height, std::move(text), std::move(children)});
  return static_cast<NodeId>(tree_.nodes.size() - 1);
}

void Parser::child(NodeId parent, NodeId node) {
  if (parent == 0) return;
  Node& above = tree_.nodes[parent];
  above.children.push_back(node);
  if (above.kind > Kind::broken)
    above.height = std::max(above.height, tree_.nodes[node].height + 1);
}

NodeId Parser::fail(std::string_view what) {
  if (tree_.problem.empty()) {
    tree_.problem = what;
    tree_.problem_offset = look().offset;
  }
  failed_ = true;
  return 0;
}

void Parser::emit(NodeId node) {
  child(open_.back().body, node);
}

void Parser::push(NodeId node, NodeId body, std::string_view tag) {
  if (open_.size() >= k_max_depth) {
    tree_.too_large = true;
    return;
  }
  open_.push_back({node, body, tag});
}

// The rest of a tag that could not be parsed: its names and strings, so that what stands in them is
// still seen, under a node that says so.
void Parser::finish_tag(std::size_t begin) {
  if (!failed_ && at_tag_end()) {
    if (look().kind == Token::tag_end) ++at_;
    return;
  }
  if (!failed_) fail("a tag that goes on behind its end");
  failed_ = false;
  const NodeId broken = add(Kind::broken, in_[begin].offset);
  at_ = begin;
  while (!at_tag_end()) {
    const Lexeme& token = look();
    if (token.kind == Token::name) child(broken, add(Kind::name, token.offset, token.text));
    if (token.kind == Token::string) child(broken, add(Kind::string, token.offset, token.text));
    ++at_;
  }
  if (look().kind == Token::tag_end) ++at_;
  failed_ = false;
  if (broken != 0) emit(broken);
}

Tree Parser::run() {
  tree_.root = add(Kind::body, 0);
  open_.push_back({tree_.root, tree_.root, ""});
  while (look().kind != Token::end && !tree_.too_large) {
    const Lexeme token = look();
    const std::size_t begin = at_;
    ++at_;
    switch (token.kind) {
    case Token::data:
      emit(add(Kind::data, token.offset, token.text));
      break;
    case Token::expression: {
      const NodeId value = tuple();
      if (!failed_ && at_tag_end()) emit(add(Kind::output, token.offset, {}, {value}));
      finish_tag(begin + 1);
      break;
    }
    case Token::statement:
      statement();
      finish_tag(begin + 1);
      break;
    default:
      break;
    }
  }
  if (open_.size() > 1 && tree_.problem.empty()) tree_.problem = "a block that does not end";
  return std::move(tree_);
}

void Parser::statement() {
  const Lexeme tag = look();
  if (tag.kind != Token::name) {
    fail("a tag without a name");
    return;
  }
  ++at_;
  if (tag.text.starts_with("end") && tag.text.size() > 3) {
    close_tag(tag.text.substr(3), tag.offset);
  } else if (tag.text == "elif" || tag.text == "else" || tag.text == "pluralize") {
    middle_tag(tag.text, tag.offset);
  } else {
    open_tag(tag.text, tag.offset);
  }
}

void Parser::close_tag(const std::string& tag, std::uint32_t offset) {
  if (open_.size() < 2 || open_.back().tag != tag) {
    // Of a block that was never opened, or of another one inside: Jinja refuses; close what fits.
    const auto fits = std::find_if(open_.rbegin(), open_.rend(),
                                   [&](const Open& open) { return open.tag == tag; });
    if (tree_.problem.empty()) {
      tree_.problem = "end" + tag + " without its beginning";
      tree_.problem_offset = offset;
    }
    if (fits == open_.rend()) {
      while (!at_tag_end())
        ++at_;
      return;
    }
    open_.erase(fits.base(), open_.end());
  }
  open_.pop_back();
  if (tag == "block" && look().kind == Token::name) ++at_;
}

void Parser::middle_tag(const std::string& tag, std::uint32_t offset) {
  Open& open = open_.back();
  if (tag == "pluralize" && open.tag == "trans") {
    while (!at_tag_end())
      ++at_;
    return;
  }
  if (tag == "else" && open.tag == "for") {
    open.body = body();
    tree_.nodes[open.node].children.back() = open.body;
    return;
  }
  if (open.tag != "if") {
    fail(tag + " outside of an if");
    return;
  }
  const NodeId test = tag == "elif" ? tuple(false) : 0;
  if (failed_) return;
  const NodeId inner = body();
  child(open.node, add(Kind::branch, offset, tag, {test, inner}));
  open_.back().body = inner;
}

void Parser::open_tag(const std::string& tag, std::uint32_t offset) {
  if (tag == "if") {
    const NodeId test = tuple(false);
    const NodeId inner = body();
    const NodeId node =
        add(Kind::if_, offset, {}, {add(Kind::branch, offset, "if", {failed_ ? 0 : test, inner})});
    emit(node);
    push(node, inner, "if");
  } else if (tag == "for") {
    loop(offset);
  } else if (tag == "set") {
    set(offset);
  } else if (tag == "macro") {
    macro(offset);
  } else if (tag == "with") {
    with(offset);
  } else if (tag == "call") {
    const NodeId parameters_node = add(Kind::list, offset);
    if (symbol("(")) parameters(parameters_node);
    const NodeId call = expression();
    const NodeId inner = body();
    const NodeId node = add(Kind::call_block, offset, {}, {call, inner});
    emit(node);
    push(node, inner, "call");
  } else if (tag == "filter") {
    const NodeId inner = body();
    --at_;
    NodeId value = filter(inner);
    while (!failed_ && symbol("|"))
      value = filter(value);
    const NodeId node = add(Kind::filter_block, offset, {}, {value});
    emit(node);
    push(node, inner, "filter");
  } else if (tag == "block") {
    const Lexeme name = look();
    if (name.kind == Token::name) ++at_;
    while (word("scoped") || word("required"))
      ++at_;
    const NodeId inner = body();
    const NodeId node = add(Kind::block, offset, name.text, {inner});
    emit(node);
    push(node, inner, "block");
  } else if (tag == "generation") {
    const NodeId inner = body();
    const NodeId node = add(Kind::generation, offset, {}, {inner});
    emit(node);
    push(node, inner, "generation");
  } else if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") {
    reach(tag, offset);
  } else if (tag == "do") {
    const NodeId value = tuple();
    if (!failed_) emit(add(Kind::do_, offset, {}, {value}));
  } else if (tag == "break" || tag == "continue" || tag == "debug") {
    emit(add(Kind::other, offset, tag));
  } else {
    unknown(tag, offset);
  }
}

void Parser::loop(std::uint32_t offset) {
  // Targets stop at "in", which an expression would take.
  const NodeId target = add(Kind::list, look().offset);
  while (!failed_ && !word("in") && !at_tag_end()) {
    if (accept(",") || accept("(") || accept(")")) continue;
    NodeId name = primary();
    if (!failed_) name = postfix(name);
    child(target, name);
  }
  NodeId iterated = 0;
  NodeId filter_node = 0;
  if (!failed_ && accept_word("in")) {
    iterated = tuple(false);
    if (!failed_ && accept_word("if")) filter_node = expression();
    accept_word("recursive");
  } else {
    fail("a loop over nothing");
  }
  const NodeId inner = body();
  const NodeId node = add(Kind::for_, offset, {}, {target, iterated, filter_node, inner, 0});
  emit(node);
  push(node, inner, "for");
}

void Parser::set(std::uint32_t offset) {
  const NodeId target = add(Kind::list, look().offset);
  while (!failed_ && !symbol("=") && !symbol("|") && !at_tag_end()) {
    if (accept(",") || accept("(") || accept(")")) continue;
    NodeId name = primary();
    if (!failed_) name = postfix(name);
    child(target, name);
  }
  if (failed_) return;
  if (accept("=")) {
    const NodeId value = tuple();
    if (!failed_) emit(add(Kind::set, offset, {}, {target, value}));
    return;
  }
  const NodeId inner = body();
  NodeId value = inner;
  while (!failed_ && symbol("|"))
    value = filter(value);
  if (failed_) return;
  const NodeId node = add(Kind::set, offset, {}, {target, value});
  emit(node);
  push(node, inner, "set");
}

void Parser::parameters(NodeId node) {
  if (!accept("(")) return;
  while (!failed_ && !accept(")")) {
    const Lexeme name = look();
    if (name.kind != Token::name) {
      fail("a parameter without a name");
      return;
    }
    ++at_;
    const NodeId value = accept("=") ? expression() : 0;
    child(node, add(Kind::keyword, name.offset, name.text, {value}));
    if (!symbol(")") && !accept(",")) fail("parameters that are not closed");
  }
}

void Parser::macro(std::uint32_t offset) {
  const Lexeme name = look();
  if (name.kind != Token::name) {
    fail("a macro without a name");
    return;
  }
  ++at_;
  const NodeId node = add(Kind::macro, offset, name.text);
  parameters(node);
  const NodeId inner = body();
  child(node, inner);
  emit(node);
  push(node, inner, "macro");
}

void Parser::with(std::uint32_t offset) {
  const NodeId node = add(Kind::with, offset);
  while (!failed_ && !at_tag_end()) {
    const NodeId target = add(Kind::list, look().offset, {}, {primary()});
    if (!accept("=")) {
      fail("with needs a value");
      break;
    }
    child(node, add(Kind::set, offset, {}, {target, expression()}));
    accept(",");
  }
  const NodeId inner = body();
  child(node, inner);
  emit(node);
  push(node, inner, "with");
}

void Parser::reach(const std::string& tag, std::uint32_t offset) {
  const NodeId target = expression(true);
  if (failed_) return;
  emit(add(Kind::reach, offset, tag, {target}));
  // "ignore missing", "with context", "as name", "import a as b, c".
  while (!at_tag_end())
    ++at_;
}

// A tag of some extension. It opens a block when an end tag of its name follows.
void Parser::unknown(const std::string& tag, std::uint32_t offset) {
  const NodeId node = add(Kind::other, offset, tag);
  while (!failed_ && !at_tag_end()) {
    const bool starts = look().kind == Token::name || look().kind == Token::string ||
                        look().kind == Token::number || symbol("(") || symbol("[") || symbol("{") ||
                        symbol("-");
    if (!starts) {
      ++at_;
      continue;
    }
    child(node, expression());
  }
  emit(node);
  const auto known = std::find(k_blocks.begin(), k_blocks.end(), tag);
  if (known != k_blocks.end()) {
    const NodeId inner = body();
    child(node, inner);
    push(node, inner, *known);
  }
}

Tree parse(std::string_view text) {
  std::string problem;
  if (text.size() > k_max_template) {
    Tree tree;
    tree.nodes.emplace_back();
    tree.too_large = true;
    return tree;
  }
  std::vector<Lexeme> lexemes = lex(text, problem);
  return Parser(std::move(lexemes), std::move(problem)).run();
}

} // namespace hubgate::jinja
