// Expressions, in the order of precedence of jinja2/parser.py.
#include "scanner/code/jinja/parser.hpp"

namespace hubgate::jinja {

NodeId Parser::expression(bool with_condition) {
  const Deeper deeper(*this);
  if (depth_ > k_max_depth) {
    tree_.too_large = true;
    return fail("nested too deep");
  }
  NodeId value = any_or();
  while (with_condition && !failed_ && word("if")) {
    const std::uint32_t offset = look().offset;
    ++at_;
    const NodeId test = any_or();
    NodeId other = 0;
    if (accept_word("else")) other = expression();
    value = add(Kind::condition, offset, {}, {value, test, other});
  }
  return value;
}

NodeId Parser::any_or() {
  NodeId left = any_and();
  while (!failed_ && word("or")) {
    const std::uint32_t offset = look().offset;
    ++at_;
    const NodeId right = any_and();
    left = add(Kind::binary, offset, "or", {left, right});
  }
  return left;
}

NodeId Parser::any_and() {
  NodeId left = any_not();
  while (!failed_ && word("and")) {
    const std::uint32_t offset = look().offset;
    ++at_;
    const NodeId right = any_not();
    left = add(Kind::binary, offset, "and", {left, right});
  }
  return left;
}

NodeId Parser::any_not() {
  std::uint32_t count = 0;
  const std::uint32_t offset = look().offset;
  while (accept_word("not"))
    ++count;
  const NodeId value = comparison();
  return count == 0 ? value : add(Kind::unary, offset, "not", {value});
}

NodeId Parser::comparison() {
  NodeId left = sum();
  while (!failed_) {
    const std::uint32_t offset = look().offset;
    std::string operation;
    if (look().kind == Token::symbol &&
        (look().text == "==" || look().text == "!=" || look().text == "<" || look().text == "<=" ||
         look().text == ">" || look().text == ">=")) {
      operation = look().text;
      ++at_;
    } else if (word("in")) {
      operation = "in";
      ++at_;
    } else if (word("not") && look(1).kind == Token::name && look(1).text == "in") {
      operation = "not in";
      at_ += 2;
    } else {
      break;
    }
    const NodeId right = sum();
    left = add(Kind::compare, offset, operation, {left, right});
  }
  return left;
}

NodeId Parser::sum() {
  NodeId left = concatenation();
  while (!failed_ && (symbol("+") || symbol("-"))) {
    const Lexeme operation = look();
    ++at_;
    const NodeId right = concatenation();
    left = add(Kind::binary, operation.offset, operation.text, {left, right});
  }
  return left;
}

NodeId Parser::concatenation() {
  NodeId left = product();
  while (!failed_ && symbol("~")) {
    const std::uint32_t offset = look().offset;
    ++at_;
    const NodeId right = product();
    left = add(Kind::binary, offset, "~", {left, right});
  }
  return left;
}

NodeId Parser::product() {
  NodeId left = power();
  while (!failed_ && (symbol("*") || symbol("/") || symbol("//") || symbol("%"))) {
    const Lexeme operation = look();
    ++at_;
    const NodeId right = power();
    left = add(Kind::binary, operation.offset, operation.text, {left, right});
  }
  return left;
}

NodeId Parser::power() {
  NodeId left = unary();
  while (!failed_ && symbol("**")) {
    const std::uint32_t offset = look().offset;
    ++at_;
    const NodeId right = unary();
    left = add(Kind::binary, offset, "**", {left, right});
  }
  return left;
}

NodeId Parser::unary(bool with_filter) {
  std::string signs;
  const std::uint32_t offset = look().offset;
  while (symbol("-") || symbol("+")) {
    signs += look().text;
    ++at_;
  }
  NodeId node = primary();
  if (failed_) return node;
  node = postfix(node);
  if (with_filter) node = filters(node);
  if (signs.find('-') != std::string::npos) node = add(Kind::unary, offset, "-", {node});
  return node;
}

NodeId Parser::primary() {
  const Lexeme token = look();
  switch (token.kind) {
  case Token::name:
    ++at_;
    return add(Kind::name, token.offset, token.text);
  case Token::string: {
    std::string text;
    while (look().kind == Token::string)
      text += in_[at_++].text;
    return add(Kind::string, token.offset, std::move(text));
  }
  case Token::number:
    ++at_;
    return add(Kind::number, token.offset, token.text);
  case Token::symbol:
    if (token.text == "(") {
      ++at_;
      if (accept(")")) return add(Kind::list, token.offset);
      const NodeId inner = tuple();
      if (!accept(")")) return fail("a parenthesis that is not closed");
      return inner;
    }
    if (token.text == "[") return brackets();
    if (token.text == "{") return braces();
    break;
  default:
    break;
  }
  return fail("an expression is missing");
}

NodeId Parser::brackets() {
  const NodeId list = add(Kind::list, look().offset);
  ++at_;
  while (!failed_ && !accept("]")) {
    child(list, expression());
    if (!symbol("]") && !accept(",")) return fail("a list that is not closed");
  }
  return list;
}

NodeId Parser::braces() {
  const NodeId dict = add(Kind::dict, look().offset);
  ++at_;
  while (!failed_ && !accept("}")) {
    child(dict, expression());
    if (!accept(":")) return fail("a dictionary without a value");
    child(dict, expression());
    if (!symbol("}") && !accept(",")) return fail("a dictionary that is not closed");
  }
  return dict;
}

// One expression, or several with commas between them as a list.
NodeId Parser::tuple(bool with_condition) {
  const std::uint32_t offset = look().offset;
  const NodeId first = expression(with_condition);
  if (failed_ || !symbol(",")) return first;
  const NodeId list = add(Kind::list, offset, {}, {first});
  while (!failed_ && accept(",")) {
    if (at_tag_end() || symbol(")") || symbol("=") || word("in")) break;
    child(list, expression(with_condition));
  }
  return list;
}

NodeId Parser::postfix(NodeId node) {
  while (!failed_) {
    const Lexeme token = look();
    if (token.kind != Token::symbol) break;
    if (token.text == ".") {
      ++at_;
      const Lexeme name = look();
      if (name.kind != Token::name && name.kind != Token::number)
        return fail("a name is missing behind a point");
      ++at_;
      node = add(Kind::attribute, name.offset, name.text, {node});
    } else if (token.text == "[") {
      node = subscript(node);
    } else if (token.text == "(") {
      const NodeId call = add(Kind::call, token.offset, {}, {node});
      arguments(call);
      node = call;
    } else {
      break;
    }
  }
  return node;
}

NodeId Parser::subscript(NodeId object) {
  const std::uint32_t offset = look().offset;
  ++at_;
  const auto part = [&]() -> NodeId {
    return symbol(":") || symbol("]") || symbol(",") ? 0 : expression();
  };
  NodeId index = part();
  if (symbol(":")) {
    NodeId end = 0;
    NodeId step = 0;
    ++at_;
    end = part();
    if (accept(":")) step = part();
    index = add(Kind::slice, offset, {}, {index, end, step});
  }
  while (!failed_ && accept(","))
    index = add(Kind::list, offset, {}, {index, part()});
  if (failed_ || !accept("]")) return fail("a subscript that is not closed");
  return add(Kind::subscript, offset, {}, {object, index});
}

void Parser::arguments(NodeId call) {
  if (!accept("(")) return;
  while (!failed_ && !accept(")")) {
    if (accept("**") || accept("*")) {
      child(call, expression());
    } else if (look().kind == Token::name && look(1).kind == Token::symbol && look(1).text == "=") {
      const Lexeme name = look();
      at_ += 2;
      const NodeId value = expression();
      child(call, add(Kind::keyword, name.offset, name.text, {value}));
    } else {
      child(call, expression());
    }
    if (!symbol(")") && !accept(",")) {
      fail("arguments that are not closed");
      return;
    }
  }
}

NodeId Parser::filters(NodeId node) {
  while (!failed_) {
    if (symbol("|"))
      node = filter(node);
    else if (word("is"))
      node = test(node);
    else if (symbol("("))
      node = postfix(node);
    else
      break;
  }
  return node;
}

NodeId Parser::filter(NodeId operand) {
  ++at_;
  Lexeme name = look();
  if (name.kind != Token::name) return fail("a filter without a name");
  ++at_;
  while (accept(".")) {
    if (look().kind != Token::name) return fail("a filter without a name");
    name.text += "." + look().text;
    ++at_;
  }
  const NodeId node = add(Kind::filter, name.offset, name.text, {operand});
  arguments(node);
  return node;
}

NodeId Parser::test(NodeId operand) {
  const std::uint32_t offset = look().offset;
  ++at_;
  const bool negated = accept_word("not");
  Lexeme name = look();
  if (name.kind != Token::name) return fail("a test without a name");
  ++at_;
  while (accept(".")) {
    if (look().kind != Token::name) return fail("a test without a name");
    name.text += "." + look().text;
    ++at_;
  }
  NodeId node = add(Kind::test, name.offset, name.text, {operand});
  const Lexeme& next = look();
  const bool starts = next.kind == Token::name || next.kind == Token::string ||
                      next.kind == Token::number || symbol("[") || symbol("{");
  if (symbol("(")) {
    arguments(node);
  } else if (starts && !word("else") && !word("or") && !word("and") && !word("if") && !word("is") &&
             !word("in") && !word("not") && !word("recursive")) {
    const NodeId argument = primary();
    if (!failed_) child(node, postfix(argument));
  }
  if (negated) node = add(Kind::unary, offset, "not", {node});
  return node;
}

} // namespace hubgate::jinja
