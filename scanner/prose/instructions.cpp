// Instructions to agents: a small grammar of what such texts say, over words, without regard to
// case. It can't understand a text, and does not try: see README.md.
#include "scanner/prose/prose.hpp"

#include "scanner/core/words.hpp"

#include <algorithm>

namespace hubgate::prose {
namespace {

constexpr std::size_t k_near = 600; ///< bytes around an instruction in which the act stands

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

template <std::size_t N>
bool among(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 5> k_verbs{"ignore", "disregard", "forget", "override",
                                                  "bypass"};
constexpr std::array<std::string_view, 22> k_fillers{
    "all",      "any",   "the",     "your",     "of",        "these",    "those",  "my",
    "previous", "prior", "above",   "earlier",  "preceding", "existing", "system", "safety",
    "other",    "and",   "initial", "original", "every",     "former"};
constexpr std::array<std::string_view, 9> k_which{
    "previous", "prior", "above", "earlier", "preceding", "your", "system", "initial", "original"};
constexpr std::array<std::string_view, 8> k_nouns{"instructions", "instruction", "prompts",
                                                  "prompt",       "rules",       "guidelines",
                                                  "directives",   "directions"};
constexpr std::array<std::string_view, 14> k_concealing{
    "do not tell the user",     "don't tell the user",      "do not inform the user",
    "don't inform the user",    "without telling the user", "without informing the user",
    "do not mention this to",   "don't mention this to",    "never tell the user",
    "do not reveal this to",    "hide this from the user",  "without the user's knowledge",
    "do not let the user know", "without asking the user"};
constexpr std::array<std::string_view, 12> k_addressing{
    "if you are an ai",          "if you are a language model", "if you are an llm",
    "if you are a coding agent", "instructions for ai agents",  "instructions for ai assistants",
    "note to ai assistants",     "note to ai agents",           "attention ai agent",
    "attention ai assistant",    "ai agents reading this",      "ai assistants reading this"};
constexpr std::array<std::string_view, 16> k_acts{
    "curl ",   "wget ",   "http://",   "https://", "run the following", "execute",
    "api key", "api_key", "token",     "password", "credential",        "environment variable",
    "~/.ssh",  ".env",    "exfiltrat", "base64"};

const WordStarts& starts() {
  static const WordStarts made = [] {
    WordStarts out;
    const auto add = [&](auto phrases) {
      for (const std::string_view phrase: phrases)
        out.add(phrase);
    };
    add(k_verbs);
    add(k_concealing);
    add(k_addressing);
    return out;
  }();
  return made;
}

bool is_at(std::string_view text, std::size_t at, std::string_view phrase) {
  return text.substr(at, phrase.size()) == phrase;
}

// "ignore all of your previous instructions": a verb, then fillers with at least one that says
// whose, then the noun. Returns the length, 0 = no.
std::size_t override_at(std::string_view text, std::size_t at) {
  std::size_t i = at;
  bool which = false;
  for (int words = 0; words < 8; ++words) {
    std::size_t end = i;
    while (end < text.size() && is_letter(text[end]))
      ++end;
    const std::string_view word = text.substr(i, end - i);
    if (words == 0) {
      if (!among(k_verbs, word)) return 0;
    } else if (among(k_nouns, word)) {
      return which ? end - at : 0;
    } else if (!among(k_fillers, word)) {
      return 0;
    }
    if (among(k_which, word)) which = true;
    i = end;
    while (i < text.size() && i < end + 4 && (text[i] == ' ' || text[i] == '\n' || text[i] == ','))
      ++i;
    if (i == end) return 0;
  }
  return 0;
}

bool acts_near(std::string_view text, std::size_t at) {
  const std::size_t begin = at > k_near ? at - k_near : 0;
  const std::string_view around = text.substr(begin, at - begin + k_near);
  return std::any_of(k_acts.begin(), k_acts.end(), [&](std::string_view act) {
    return around.find(act) != std::string_view::npos;
  });
}

bool in_comment(std::string_view text, std::size_t at) {
  const std::size_t open = text.rfind("<!--", at);
  return open != std::string_view::npos && text.find("-->", open) > at && at - open < 4096;
}

} // namespace

Instructions find_instructions(std::string_view raw) {
  // Most texts have no word that one of them begins with: those cost no copy.
  const std::size_t first = starts().next(raw, 0);
  if (first == raw.npos) return {};
  std::string text(raw);
  std::transform(text.begin(), text.end(), text.begin(), lower);
  Instructions out;
  const auto seen = [&](std::optional<std::size_t>& where, std::size_t at) {
    if (!where) where = at;
    out.acts = out.acts || acts_near(text, at);
    out.comment = out.comment || in_comment(text, at);
  };
  unsigned looked = 0; // each look around costs k_near
  for (std::size_t at = first; at != text.npos && looked < 64; at = starts().next(text, at + 1)) {
    if (at > 0 && is_letter(text[at - 1])) continue;
    if (override_at(text, at) > 0) {
      seen(out.overrides, at);
      ++looked;
      continue;
    }
    for (const std::string_view phrase: k_concealing)
      if (phrase[0] == text[at] && is_at(text, at, phrase)) {
        seen(out.conceals, at);
        ++looked;
      }
    for (const std::string_view phrase: k_addressing)
      if (phrase[0] == text[at] && is_at(text, at, phrase)) {
        seen(out.addresses, at);
        ++looked;
      }
  }
  return out;
}

} // namespace hubgate::prose
