#include "scanner/yara/facts.hpp"

#include "scanner/core/evidence.hpp"

#include <algorithm>
#include <array>

namespace hubgate::yara {
namespace {

constexpr std::array<std::string_view, 3> k_modules{"hash", "math", "string"};
constexpr std::size_t k_class_max = 40;
constexpr std::size_t k_id_max = 30;

bool is_class(std::string_view text) {
  return !text.empty() && text.size() <= k_class_max &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// "CWE-502", "AML.T0011.000"
bool is_id(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) && text.size() > prefix.size() && text.size() <= k_id_max &&
         std::all_of(text.begin() + static_cast<std::ptrdiff_t>(prefix.size()), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

} // namespace

bool allowed_module(std::string_view name) {
  return std::find(k_modules.begin(), k_modules.end(), name) != k_modules.end();
}

RuleFacts facts_of(YR_RULE* rule, std::vector<Problem>* problems) {
  RuleFacts out;
  out.id = "yara:" + std::string(rule->ns->name) + "." + rule->identifier;
  const auto wrong = [&](std::string_view what, bool warning) {
    if (problems != nullptr)
      problems->push_back(
          {"", 0, "rule " + printable(rule->identifier, 128) + ": " + std::string(what), warning});
  };
  YR_META* meta = nullptr;
  yr_rule_metas_foreach(rule, meta) {
    const std::string_view key = meta->identifier;
    if (key != "severity" && key != "class" && key != "description" && key != "cwe" &&
        key != "atlas")
      continue;
    if (meta->type != META_TYPE_STRING) {
      wrong(std::string(key) + " is no text: it is not looked at", true);
      continue;
    }
    const std::string_view text = meta->string;
    if (key == "severity") {
      // A severity that is misspelt must not become a milder one.
      const auto severity = severity_from(text);
      if (severity)
        out.severity = *severity;
      else
        wrong("severity is \"informational\", \"suspicious\" or \"malicious\"", false);
    } else if (key == "class") {
      if (is_class(text))
        out.klass = text;
      else
        wrong("class is not made of a-z, 0-9 and '-': it is not looked at", true);
    } else if (key == "description") {
      out.description = text;
    } else if (key == "cwe") {
      if (is_id(text, "CWE-"))
        out.cwe = text;
      else
        wrong("cwe is not like \"CWE-502\": it is not looked at", true);
    } else if (is_id(text, "AML.T")) {
      out.atlas = text;
    } else {
      wrong("atlas is not like \"AML.T0011.000\": it is not looked at", true);
    }
  }
  return out;
}

} // namespace hubgate::yara
