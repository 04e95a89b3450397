// What flows into a value: the words of a conversation, the date, the outcome of a test on them.
#include "scanner/code/jinja/fold.hpp"

#include <algorithm>
#include <array>

namespace hubgate::jinja {
namespace {

constexpr std::uint32_t k_nested = 600; ///< names that lead to names

std::string plain(std::string_view text) {
  constexpr std::string_view k_space = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(k_space);
  if (begin == std::string_view::npos) return {};
  std::string out(text.substr(begin, text.find_last_not_of(k_space) - begin + 1));
  for (char& c: out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// Of conversations as every loader passes them: the words, not who says them.
bool is_content_key(std::string_view key) {
  return key == "content" || key == "text" || key == "prompt" || key == "parts";
}

bool is_clock(std::string_view name) {
  constexpr std::array<std::string_view, 8> k_clocks{"strftime_now", "strftime", "now",  "utcnow",
                                                     "today",        "datetime", "time", "date"};
  return std::find(k_clocks.begin(), k_clocks.end(), name) != k_clocks.end();
}

} // namespace

bool is_ordinary_word(std::string_view text) {
  // Roles, and the kinds of parts of a message, are compared by every template.
  constexpr std::array<std::string_view, 34> k_usual{
      "user",     "system",  "assistant",   "tool",        "developer", "model",       "human",
      "function", "ipython", "environment", "observation", "text",      "image",       "video",
      "audio",    "file",    "document",    "documents",   "thinking",  "reasoning",   "content",
      "type",     "name",    "role",        "json",        "image_url", "input_audio", "tool_calls",
      "tools",    "string",  "arguments",   "none",        "true",      "false"};
  const std::string word = plain(text);
  if (std::find(k_usual.begin(), k_usual.end(), word) != k_usual.end()) return false;
  std::size_t run = 0;
  std::size_t longest = 0;
  for (const char c: word) {
    const bool letter = (c >= 'a' && c <= 'z') || static_cast<unsigned char>(c) >= 0x80;
    if (!letter && c != ' ' && c != '-' && c != '\'' && c != '.' && c != ',' && c != '?' &&
        c != '!')
      return false;
    run = letter ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  // Fullwidth bars and lower blocks make the special tokens of some models.
  if (word.find("\xef\xbd\x9c") != std::string::npos ||
      word.find("\xe2\x96\x81") != std::string::npos)
    return false;
  return longest >= 3;
}

void Folder::depends(const std::string& name, std::uint8_t flow) {
  if (!name.empty()) depends_[name] |= flow;
}

std::uint8_t Folder::flow(NodeId id) {
  if (id == 0 || nested_ > k_nested) return 0;
  const auto known = flows_.find(id);
  if (known != flows_.end()) return known->second;
  flows_[id] = 0; // of a value that is made of itself
  ++nested_;
  const std::uint8_t out = compute_flow(id);
  --nested_;
  flows_[id] = out;
  return out;
}

// Content or date held against a constant.
std::uint8_t Folder::flow_of_test(const Node& node, std::uint8_t below) {
  std::uint8_t out = 0;
  if ((below & k_date) != 0) out |= k_dated;
  if ((below & k_content) == 0) return out;
  for (const NodeId child: node.children) {
    const Node& part = tree_.at(child);
    const NodeId value = part.kind == Kind::keyword ? part.children[0] : child;
    for (const Value& constant: fold(value)) {
      if (constant.type == Value::Type::number) continue;
      if (constant.type == Value::Type::text && constant.text.empty()) continue;
      out |= k_tested;
      if (constant.type == Value::Type::text && is_ordinary_word(constant.text)) out |= k_worded;
      for (const std::string& item: constant.items)
        if (is_ordinary_word(item)) out |= k_worded;
    }
  }
  return out;
}

std::uint8_t Folder::compute_flow(NodeId id) {
  const Node& node = tree_.at(id);
  std::uint8_t out = 0;
  switch (node.kind) {
  case Kind::string:
  case Kind::number:
  case Kind::data:
  case Kind::nothing:
    return 0;
  case Kind::name:
  case Kind::attribute:
  case Kind::subscript: {
    std::string key = key_of(id);
    if (node.kind == Kind::name && is_content_key(node.text) && !is_bound(node.text))
      return k_content;
    if (!key.empty()) {
      if (const auto depends = depends_.find(key); depends != depends_.end())
        out |= depends->second;
      if (const auto bindings = bound_.find(key); bindings != bound_.end())
        for (const Binding& binding: bindings->second)
          out |= flow(binding.node);
    }
    if (node.kind == Kind::name) return out;
    std::string part = node.text;
    if (node.kind == Kind::subscript) {
      const Values index = fold(node.children[1]);
      part = index.empty() || index[0].type != Value::Type::text ? "" : index[0].text;
      // messages[0], content[i], content[-5:]
      if (part.empty()) return static_cast<std::uint8_t>(out | flow(node.children[0]));
    }
    if (is_content_key(part)) return static_cast<std::uint8_t>(out | k_content);
    // message.content.role is no content, the outcome of a test is what it was.
    return static_cast<std::uint8_t>(
        out | (flow(node.children[0]) & (k_tested | k_worded | k_dated | k_date)));
  }
  case Kind::call: {
    const Node& callee = tree_.at(node.children[0]);
    for (const NodeId child: node.children)
      out |= flow(child);
    if ((callee.kind == Kind::name && !is_bound(callee.text) && is_clock(callee.text)) ||
        (callee.kind == Kind::attribute && is_clock(callee.text)))
      return static_cast<std::uint8_t>(out | k_date);
    if (callee.kind == Kind::attribute) {
      const std::uint8_t object = flow(callee.children[0]);
      out |= object;
      constexpr std::array<std::string_view, 10> k_tests{
          "startswith", "endswith", "find",      "rfind",  "index",
          "count",      "split",    "partition", "rsplit", "replace"};
      if (std::find(k_tests.begin(), k_tests.end(), callee.text) != k_tests.end())
        out |= flow_of_test(node, object);
    }
    return out;
  }
  case Kind::compare: {
    for (const NodeId child: node.children)
      out |= flow(child);
    const auto tests = flow_of_test(node, out);
    return static_cast<std::uint8_t>((out & (k_tested | k_worded | k_dated)) | tests);
  }
  case Kind::test: {
    for (const NodeId child: node.children)
      out |= flow(child);
    std::uint8_t tests = 0;
    if (node.text == "eq" || node.text == "equalto" || node.text == "==" || node.text == "in" ||
        node.text == "ne" || node.text == "gt" || node.text == "ge" || node.text == "lt" ||
        node.text == "le" || node.text == "greaterthan" || node.text == "lessthan" ||
        node.text == "sameas")
      tests = flow_of_test(node, out);
    return static_cast<std::uint8_t>((out & (k_tested | k_worded | k_dated)) | tests);
  }
  case Kind::filter: {
    for (const NodeId child: node.children)
      out |= flow(child);
    const Node& operand = tree_.at(node.children[0]);
    // The whole conversation as one text.
    if ((node.text == "string" || node.text == "tojson") && operand.kind == Kind::name &&
        (operand.text == "messages" || operand.text == "message"))
      out |= k_content;
    // Of a list of messages the words are taken: map(attribute='content').
    if (node.text == "map")
      for (const NodeId child: node.children)
        if (tree_.at(child).kind == Kind::keyword)
          for (const Value& value: fold(tree_.at(child).children[0]))
            if (is_content_key(value.text)) out |= k_content;
    if (node.text == "length" || node.text == "count")
      out = static_cast<std::uint8_t>(out & ~unsigned{k_content});
    return out;
  }
  default:
    for (const NodeId child: node.children)
      out |= flow(child);
    return out;
  }
}

} // namespace hubgate::jinja
