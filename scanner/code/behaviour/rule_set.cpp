// Reading the rules. They are part of the program: problems are found by the unit test, and a rule
// with one is left out.
#include "scanner/code/behaviour/rule_set.hpp"

#include "scanner/core/digest.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <map>
#include <set>

namespace hubgate::behaviour {
namespace {

constexpr unsigned k_max_depth = 8; ///< of brackets in a condition
constexpr std::size_t k_min_literal = 2;

constexpr std::array<std::string_view, 8> k_classes{
    "remote-control", "theft",       "reconnaissance", "execution",
    "persistence",    "destruction", "propagation",    "proof-of-concept"};

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// The first word, taken off the text.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text = trimmed(text.substr(end));
  return word;
}

std::optional<std::uint8_t> kinds_of(std::string_view word) {
  const auto bit = [](UnitKind kind) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(kind));
  };
  if (word == "source") return bit(UnitKind::source);
  if (word == "weights") return bit(UnitKind::weights);
  if (word == "cell") return bit(UnitKind::cell);
  if (word == "shell") return bit(UnitKind::shell);
  if (word == "python")
    return static_cast<std::uint8_t>(bit(UnitKind::source) | bit(UnitKind::weights) |
                                     bit(UnitKind::cell));
  return std::nullopt;
}

} // namespace

class RuleParser {
public:
  RuleParser(RuleSet& set, const RuleFile& file) : set_(set), file_(file) {}

  void run() {
    std::string_view rest = file_.text;
    std::size_t number = 0;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view raw = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      line_ = ++number;
      if (sample_) {
        if (trimmed(raw) == ">>") {
          set_.samples_.push_back(std::move(*sample_));
          sample_.reset();
        } else {
          sample_->text += raw;
          sample_->text += '\n';
        }
        continue;
      }
      std::string_view line = trimmed(raw);
      if (line.empty() || line[0] == '#') continue;
      const std::string_view key = take_word(line);
      if (key == "rule") {
        finish();
        begin(line);
      } else if (!open_) {
        problem("stands before the first rule");
      } else {
        field(key, line);
      }
    }
    finish();
  }

private:
  void problem(std::string_view what) {
    set_.problems_.push_back(std::string(file_.name) + ":" + std::to_string(line_) + ": " +
                             std::string(what));
    broken_ = true;
  }

  std::string_view keep(std::string text) {
    set_.strings_.push_back(std::move(text));
    return set_.strings_.back();
  }

  void begin(std::string_view id) {
    open_ = true;
    broken_ = false;
    rule_ = CompiledRule{};
    rule_.line = line_;
    rule_.first_variable = static_cast<std::uint32_t>(set_.rule_of_.size());
    rule_.rule.id = keep("behaviour-" + std::string(id));
    rule_.rule.severity = Severity::malicious;
    rule_.rule.reach = Reach::load;
    id_ = std::string(id);
    variables_.clear();
    used_.clear();
    conditioned_ = false;
    const bool plain = !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!plain || !ids_.insert(id_).second) problem("needs an id of its own, in kebab-case");
  }

  void finish() {
    if (!open_) return;
    open_ = false;
    if (sample_) problem("a sample does not end");
    if (rule_.rule.klass.empty() || rule_.rule.cwe.empty() || rule_.rule.atlas.empty() ||
        rule_.rule.meaning.empty() || rule_.kinds == 0 || !conditioned_)
      problem("needs class, cwe, atlas, units, means and when: " + id_);
    for (const auto& [name, number]: variables_)
      if (!used_.contains(name)) problem("never asks for its feature " + name);
    // Numbers of variables are given already: a broken rule keeps them and never holds.
    if (broken_) rule_.kinds = 0;
    set_.rules_.push_back(std::move(rule_));
  }

  void field(std::string_view key, std::string_view rest) {
    Rule& rule = rule_.rule;
    if (key == "class") {
      rule.klass = rest;
      if (std::find(k_classes.begin(), k_classes.end(), rest) == k_classes.end())
        problem("is no class of behaviours");
    } else if (key == "severity" || key == "loaded") {
      const auto severity = severity_from(rest);
      if (!severity) return problem("is no severity");
      if (key == "severity")
        rule.severity = *severity;
      else
        rule_.loaded = *severity;
    } else if (key == "cwe") {
      rule.cwe = rest;
    } else if (key == "atlas") {
      rule.atlas = rest;
    } else if (key == "techniques") {
      rule.techniques = rest;
    } else if (key == "means") {
      rule.meaning = rest;
    } else if (key == "finding") {
      rule_.finding = std::string(rest);
    } else if (key == "units") {
      while (!rest.empty())
        if (const auto kinds = kinds_of(take_word(rest)))
          rule_.kinds = static_cast<std::uint8_t>(rule_.kinds | *kinds);
        else
          problem("is no kind of unit");
    } else if (key == "within") {
      rule_.within_text = rest == "text";
      if (rest != "text" && rest != "unit") problem("is text or unit");
    } else if (key == "text" || key == "call" || key == "regex") {
      feature(key, rest);
    } else if (key == "when") {
      condition(rest);
    } else if (key == "match" || key == "no-match") {
      sample(key == "match", rest);
    } else {
      problem("is no field: " + std::string(key));
    }
  }

  // "shell <<", then the text up to a line ">>"; or "shell: one line".
  void sample(bool match, std::string_view rest) {
    const std::string_view word = take_word(rest);
    const bool inline_text = word.ends_with(":");
    const auto kind = kinds_of(inline_text ? word.substr(0, word.size() - 1) : word);
    if (!kind) return problem("is no kind of unit");
    unsigned bit = 0;
    while (((*kind >> bit) & 1) == 0)
      ++bit;
    Sample one{id_, static_cast<UnitKind>(bit), match, {}, line_};
    if (inline_text) {
      one.text = std::string(rest) + "\n";
      set_.samples_.push_back(std::move(one));
    } else if (rest == "<<") {
      sample_ = std::move(one);
    } else {
      problem("a sample follows its kind behind ':' or '<<'");
    }
  }

  std::uint32_t variable(const std::string& name) {
    const auto known = variables_.find(name);
    if (known != variables_.end()) return known->second;
    const auto number = static_cast<std::uint32_t>(set_.rule_of_.size());
    set_.rule_of_.push_back(static_cast<std::uint32_t>(set_.rules_.size()));
    variables_[name] = number;
    ++rule_.variables;
    return number;
  }

  void feature(std::string_view key, std::string_view rest) {
    const std::string name(take_word(rest));
    if (take_word(rest) != "=" || name.empty()) return problem("is written: name = …");
    const std::uint32_t number = variable(name);
    if (key == "regex") return regex(number, rest);
    if (key == "call") {
      while (!rest.empty()) {
        std::size_t end = std::min(rest.find(" | "), rest.size());
        call(number, trimmed(rest.substr(0, end)));
        rest.remove_prefix(std::min(end + 3, rest.size()));
      }
      return;
    }
    while (!rest.empty()) {
      if (const auto text = quoted(rest)) literal(number, *text, 0);
      if (broken_) return;
      rest = trimmed(rest);
      if (!rest.empty() && rest[0] != '|') return problem("texts are parted by |");
      if (!rest.empty()) rest = trimmed(rest.substr(1));
    }
  }

  // A text in quotes, taken off; \" and \\ are escapes, \b at an end asks for a word's limit.
  std::optional<std::string> quoted(std::string_view& rest) {
    if (rest.empty() || rest[0] != '"') {
      problem("a text is written in quotes");
      return std::nullopt;
    }
    std::string out;
    std::size_t i = 1;
    for (; i < rest.size() && rest[i] != '"'; ++i) {
      if (rest[i] == '\\' && i + 1 < rest.size()) {
        ++i;
        out += rest[i] == 'b' ? '\x01' : rest[i] == 't' ? '\t' : rest[i];
      } else {
        out += rest[i];
      }
    }
    if (i == rest.size()) {
      problem("a text does not end");
      return std::nullopt;
    }
    rest.remove_prefix(i + 1);
    return out;
  }

  void literal(std::uint32_t number, std::string text, std::uint32_t regex) {
    const bool begin = text.starts_with('\x01');
    if (begin) text.erase(0, 1);
    const bool end = text.ends_with('\x01');
    if (end) text.pop_back();
    if (text.size() < k_min_literal) return problem("a text has two bytes or more");
    const std::uint32_t literal = set_.automaton_.add(text);
    if (set_.uses_.size() <= literal) set_.uses_.resize(literal + 1);
    set_.uses_[literal].push_back({number, begin, end, regex});
  }

  // "guard" | "guard" /expression/: tried on texts that hold one of the guards.
  void regex(std::uint32_t number, std::string_view rest) {
    std::vector<std::string> guards;
    do {
      rest = trimmed(rest);
      auto guard = quoted(rest);
      if (!guard) return;
      guards.push_back(std::move(*guard));
      rest = trimmed(rest);
    } while (!rest.empty() && rest[0] == '|' && (rest.remove_prefix(1), true));
    if (rest.size() < 3 || rest.front() != '/' || rest.back() != '/')
      return problem("an expression stands between slashes");
    re2::RE2::Options options(re2::RE2::Quiet);
    options.set_case_sensitive(false);
    options.set_max_mem(1 << 20);
    options.set_encoding(re2::RE2::Options::EncodingLatin1);
    const std::string_view expression = rest.substr(1, rest.size() - 2);
    auto compiled =
        std::make_unique<re2::RE2>(re2::StringPiece(expression.data(), expression.size()), options);
    if (!compiled->ok()) return problem(compiled->error());
    set_.regexes_.push_back(std::move(compiled));
    for (std::string& guard: guards)
      literal(number, std::move(guard), static_cast<std::uint32_t>(set_.regexes_.size()));
  }

  // name, name*, *part*, name("constant")
  void call(std::uint32_t number, std::string_view text) {
    RuleSet::NameUse use{number, {}};
    const std::size_t bracket = text.find("(\"");
    if (bracket != std::string_view::npos && text.ends_with("\")")) {
      use.needle = std::string(text.substr(bracket + 2, text.size() - bracket - 4));
      text = text.substr(0, bracket);
    }
    const bool open = text.starts_with('*') || text.ends_with('*');
    if (open) {
      if (text.starts_with('*')) text.remove_prefix(1);
      if (text.ends_with('*')) text.remove_suffix(1);
    }
    if (text.size() < k_min_literal || (open && !use.needle.empty()))
      return problem("is no name of a function");
    if (open)
      set_.name_parts_.emplace_back(std::string(text), std::move(use));
    else
      set_.names_[std::string(text)].push_back(std::move(use));
  }

  void condition(std::string_view text) {
    std::string spaced;
    for (const char c: text)
      spaced += c == '(' || c == ')' || c == ',' ? std::string{' ', c, ' '} : std::string{c};
    std::string_view rest = spaced;
    tokens_.clear();
    for (rest = trimmed(rest); !rest.empty();)
      tokens_.emplace_back(take_word(rest));
    at_ = 0;
    rule_.when = any(0);
    conditioned_ = true;
    if (at_ != tokens_.size()) problem("the condition has a part too many");
  }

  bool is(std::string_view token) const { return at_ < tokens_.size() && tokens_[at_] == token; }

  Condition any(unsigned depth) {
    Condition out{Condition::Kind::any, 0, {all(depth)}};
    while (is("or")) {
      ++at_;
      out.parts.push_back(all(depth));
    }
    return out.parts.size() == 1 ? Condition(out.parts.front()) : out;
  }

  Condition all(unsigned depth) {
    Condition out{Condition::Kind::all, 0, {part(depth)}};
    while (is("and")) {
      ++at_;
      out.parts.push_back(part(depth));
    }
    return out.parts.size() == 1 ? Condition(out.parts.front()) : out;
  }

  Condition part(unsigned depth) {
    Condition out;
    if (at_ >= tokens_.size() || depth > k_max_depth || broken_) {
      problem("the condition ends early or is nested too deep");
      return out;
    }
    const std::string token = tokens_[at_++];
    if (token == "not") return {Condition::Kind::none, 0, {part(depth + 1)}};
    if (token == "(") {
      out = any(depth + 1);
      if (!is(")")) problem("a bracket is not closed");
      ++at_;
      return out;
    }
    if (token.size() == 1 && token[0] >= '2' && token[0] <= '9' && is("of")) {
      ++at_;
      out = {Condition::Kind::at_least, static_cast<std::uint32_t>(token[0] - '0'), {}};
      if (!is("(")) problem("is written: 2 of (a, b, c)");
      while (!broken_ && !is(")")) {
        ++at_;
        out.parts.push_back(part(depth + 1));
        if (!is(",") && !is(")")) problem("is written: 2 of (a, b, c)");
      }
      ++at_;
      return out;
    }
    const auto known = variables_.find(token);
    if (known == variables_.end()) {
      problem("knows no feature " + token);
      return out;
    }
    used_.insert(token);
    out.number = known->second;
    return out;
  }

  RuleSet& set_;
  const RuleFile& file_;
  std::size_t line_ = 0;
  bool open_ = false;
  bool broken_ = false;
  bool conditioned_ = false;
  CompiledRule rule_;
  std::string id_;
  std::map<std::string, std::uint32_t> variables_;
  std::set<std::string> used_;
  std::set<std::string> ids_;
  std::optional<Sample> sample_;
  std::vector<std::string> tokens_;
  std::size_t at_ = 0;
};

RuleSet::RuleSet(std::span<const RuleFile> files) {
  std::string all;
  for (const RuleFile& file: files) {
    all += file.text;
    RuleParser(*this, file).run();
  }
  automaton_.build();
  for (const CompiledRule& rule: rules_)
    if (rule.kinds != 0 && rule.finding.empty()) findings_.push_back(rule.rule);
  version_ = hex(sha256(as_bytes(all)));
}

RuleSet::~RuleSet() = default;

const RuleSet& builtin_rules() {
  static const RuleSet k_rules(builtin_files());
  return k_rules;
}

std::span<const Rule> behaviour_rules() {
  return builtin_rules().findings();
}

const std::string& behaviour_version() {
  return builtin_rules().version();
}

} // namespace hubgate::behaviour
