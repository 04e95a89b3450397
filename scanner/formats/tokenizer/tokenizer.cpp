// tokenizer.json of the tokenizers library: which text becomes which id. Weights stay what they are
// when it is changed, and the model says something else. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::size_t k_max_tokens = std::size_t{4} << 20; ///< the largest vocabularies have 0.3 M
constexpr std::uint64_t k_max_id = 50'000'000;
constexpr std::size_t k_word_letters = 4; ///< SMILES tokenizers replace "Cl" and "Br"
constexpr std::size_t k_told = 8;

constexpr std::string_view k_atlas = "AML.T0018.000";

constexpr std::array<Rule, 4> k_rules{{
    {"tokenizer-shared-id", "structure", Severity::suspicious, Reach::load, "CWE-345", k_atlas,
     "SAF-011", "two tokens have one id, so the model reads one as the other"},
    {"tokenizer-two-ids", "structure", Severity::suspicious, Reach::load, "CWE-345", k_atlas,
     "SAF-011", "one token has two ids, and another part of the tokenizer decides which counts"},
    {"tokenizer-rewrite", "deception", Severity::suspicious, Reach::load, "CWE-345", k_atlas,
     "SAF-011", "words are replaced by others before the model reads them or after it spoke"},
    {"tokenizer-id", "structure", Severity::suspicious, Reach::load, "CWE-129", "AML.T0029",
     "SAF-011 GGF-009", "the id of a token is no number that a vocabulary has"},
}};

const Rule& k_shared = k_rules[0];
const Rule& k_two = k_rules[1];
const Rule& k_rewrite = k_rules[2];
const Rule& k_id = k_rules[3];

struct Token {
  std::uint64_t hash;
  std::uint64_t id;
  std::uint64_t offset;
};

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c: text)
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return hash ^ (hash >> 29);
}

bool has_word(std::string_view text) {
  std::size_t run = 0;
  for (const char c: text) {
    const bool letter =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        (static_cast<std::uint8_t>(c) >= 0xc3 && static_cast<std::uint8_t>(c) < 0xe2);
    run = letter ? run + 1 : 0;
    if (run >= k_word_letters) return true;
  }
  return false;
}

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  const std::size_t first = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
  if (first == std::string_view::npos || head[first] != '{') return Claim::no;
  for (const std::string_view key: {"\"added_tokens\"", "\"truncation\"", "\"vocab\"", "\"merges\"",
                                    "\"normalizer\"", "\"pre_tokenizer\"", "\"post_processor\""})
    if (holds(head, key) || holds(as_text(probe.tail), key)) return Claim::maybe;
  return Claim::no;
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : session_(session),
        json_(source, 0, ~std::uint64_t{0}, {.dialect = JsonOptions::Dialect::python}) {}
  Reading run();

private:
  struct Told {
    const Rule* rule;
    std::uint64_t offset;
    std::string evidence;
  };
  // A replacement, or a special token of a template, while its object is open.
  struct Open {
    std::string key;
    std::string type;
    std::string pattern;
    std::string content;
    std::string token;
    std::optional<std::uint64_t> id;
    std::uint64_t offset = 0;
    bool list = false;
  };

  bool added_tokens();
  bool model();
  bool vocabulary();
  bool walk();
  void close(const Open& open);
  void tell(const Rule& rule, std::uint64_t offset, std::string evidence);
  void judge();
  void add(std::vector<Token>& tokens, std::string_view text, std::optional<std::uint64_t> id);

  Session& session_;
  JsonReader json_;
  std::vector<Token> vocabulary_;
  std::vector<Token> added_;
  std::vector<Token> templates_; ///< of the post-processor
  std::vector<Told> told_;       ///< held until it is clear that this is a tokenizer
  bool has_model_ = false;
};

void Scan::tell(const Rule& rule, std::uint64_t offset, std::string evidence) {
  if (told_.size() < 64) told_.push_back({&rule, offset, std::move(evidence)});
}

void Scan::add(std::vector<Token>& tokens, std::string_view text, std::optional<std::uint64_t> id) {
  if (!id || *id > k_max_id) {
    tell(k_id, json_.offset(), std::string(text.substr(0, 100)));
    return;
  }
  tokens.push_back({hash_of(text), *id, json_.offset()});
}

// [{"id": 0, "content": "<s>", …}, …]
bool Scan::added_tokens() {
  if (json_.next() != JsonEvent::array_begin) return json_.failure() == JsonFailure::none;
  for (;;) {
    JsonEvent event = json_.next();
    if (event == JsonEvent::array_end) return true;
    if (event != JsonEvent::object_begin) return false;
    std::optional<std::uint64_t> id;
    std::string content;
    for (event = json_.next(); event == JsonEvent::key; event = json_.next()) {
      const std::string key = json_.text().substr(0, 32);
      if (key == "id") {
        if (json_.next() != JsonEvent::number) return false;
        id = json_.as_u64();
      } else if (key == "content") {
        if (json_.next() != JsonEvent::string) return false;
        content = json_.text();
      } else if (!json_.skip_value()) {
        return false;
      }
    }
    if (event != JsonEvent::object_end) return false;
    add(added_, content, id);
    if (added_.size() > k_max_tokens) return false;
  }
}

// {"token": id, …}, or [["token", score], …] where the position is the id.
bool Scan::vocabulary() {
  JsonEvent event = json_.next();
  const std::uint64_t duplicates = json_.duplicates();
  if (event == JsonEvent::object_begin) {
    for (event = json_.next(); event == JsonEvent::key; event = json_.next()) {
      const std::string token = json_.text();
      if (json_.next() != JsonEvent::number) return false;
      add(vocabulary_, token, json_.as_u64());
      if (vocabulary_.size() > k_max_tokens) return false;
    }
    if (json_.duplicates() > duplicates)
      tell(k_two, json_.first_duplicate(), "a token stands twice in the vocabulary");
    return event == JsonEvent::object_end;
  }
  if (event != JsonEvent::array_begin) return json_.failure() == JsonFailure::none;
  for (std::uint64_t id = 0;; ++id) {
    event = json_.next();
    if (event == JsonEvent::array_end) return true;
    if (event != JsonEvent::array_begin || json_.next() != JsonEvent::string) return false;
    add(vocabulary_, json_.text(), id);
    do
      event = json_.next();
    while (event == JsonEvent::number);
    if (event != JsonEvent::array_end || vocabulary_.size() > k_max_tokens) return false;
  }
}

bool Scan::model() {
  JsonEvent event = json_.next();
  if (event != JsonEvent::object_begin) return json_.failure() == JsonFailure::none;
  for (event = json_.next(); event == JsonEvent::key; event = json_.next()) {
    const std::string key = json_.text().substr(0, 32);
    if (key == "vocab") {
      if (!vocabulary()) return false;
      has_model_ = true;
    } else if (!json_.skip_value()) {
      return false;
    }
  }
  return event == JsonEvent::object_end;
}

void Scan::close(const Open& open) {
  if (open.type == "Replace" && has_word(open.pattern))
    tell(k_rewrite, open.offset,
         "\"" + open.pattern.substr(0, 150) + "\" becomes \"" + open.content.substr(0, 150) + "\"");
  if (!open.token.empty() && open.id)
    templates_.push_back({hash_of(open.token), *open.id, open.offset});
}

// Normalizers, pre-tokenizers, post-processors and decoders: any nesting of sequences.
bool Scan::walk() {
  std::vector<Open> open;
  for (;;) {
    const JsonEvent event = json_.next();
    switch (event) {
    case JsonEvent::object_begin:
    case JsonEvent::array_begin:
      open.push_back({.offset = json_.offset(), .list = event == JsonEvent::array_begin});
      break;
    case JsonEvent::object_end:
    case JsonEvent::array_end: {
      const Open done = std::move(open.back());
      open.pop_back();
      close(done);
      // {"pattern": {"String": "x"}}: the value belongs to the object around.
      if (!open.empty()) {
        if (open.back().key == "pattern") open.back().pattern = done.pattern;
        if (open.back().key == "ids" && done.list) open.back().id = done.id;
        if (open.back().key == "tokens" && done.list) open.back().token = done.token;
      }
      break;
    }
    case JsonEvent::key:
      open.back().key = json_.text().substr(0, 64);
      break;
    case JsonEvent::string: {
      if (open.empty()) return true;
      Open& top = open.back();
      if (top.list) {
        // One token; a list of several has no single id.
        top.token = top.token.empty() ? json_.text().substr(0, 4096) : std::string();
        break;
      }
      const std::string text = json_.text().substr(0, 4096);
      if (top.key == "type") top.type = text;
      if (top.key == "String" || top.key == "Regex" || top.key == "pattern") top.pattern = text;
      if (top.key == "content") top.content = text;
      break;
    }
    case JsonEvent::number:
      if (!open.empty() && open.back().list)
        open.back().id = open.back().key.empty() ? json_.as_u64() : std::nullopt;
      break;
    case JsonEvent::boolean:
    case JsonEvent::null:
      break;
    case JsonEvent::end:
    case JsonEvent::error:
      return false;
    }
    if (open.empty()) return true;
  }
}

void Scan::judge() {
  const auto by_id = [](const Token& a, const Token& b) {
    return a.id != b.id ? a.id < b.id : a.hash < b.hash;
  };
  const auto by_hash = [](const Token& a, const Token& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.id < b.id;
  };
  // What the vocabulary and the added tokens say together.
  std::vector<Token> all = vocabulary_;
  all.insert(all.end(), added_.begin(), added_.end());
  std::sort(all.begin(), all.end(), by_id);
  std::size_t shared = 0;
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].id == all[i - 1].id && all[i].hash != all[i - 1].hash && ++shared <= k_told)
      session_.find(k_shared, all[i].offset, 0, "id " + std::to_string(all[i].id));
  // Unigram vocabularies may list a piece twice; the added tokens and templates must agree.
  std::sort(vocabulary_.begin(), vocabulary_.end(), by_hash);
  std::size_t two = 0;
  const auto compare = [&](const std::vector<Token>& tokens, const std::vector<Token>& known,
                           std::string_view what) {
    for (const Token& token: tokens) {
      const auto at =
          std::lower_bound(known.begin(), known.end(), Token{token.hash, 0, 0}, by_hash);
      if (at == known.end() || at->hash != token.hash) continue;
      bool same = false;
      for (auto other = at; other != known.end() && other->hash == token.hash; ++other)
        same = same || other->id == token.id;
      if (!same && ++two <= k_told)
        session_.find(k_two, token.offset, 0,
                      std::string(what) + " has id " + std::to_string(token.id) +
                          ", the vocabulary " + std::to_string(at->id));
    }
  };
  compare(added_, vocabulary_, "an added token");
  std::sort(all.begin(), all.end(), by_hash);
  compare(templates_, all, "a special token of the post-processor");
}

Reading Scan::run() {
  if (json_.next() != JsonEvent::object_begin) return Reading::none;
  bool pieces = false;
  JsonEvent event = json_.next();
  for (; event == JsonEvent::key; event = json_.next()) {
    const std::string key = json_.text().substr(0, 32);
    bool read = true;
    if (key == "added_tokens") {
      pieces = true;
      read = added_tokens();
    } else if (key == "model") {
      read = model();
    } else if (key == "normalizer" || key == "pre_tokenizer" || key == "post_processor" ||
               key == "decoder") {
      pieces = true;
      read = walk();
    } else {
      read = json_.skip_value();
    }
    if (!read) return Reading::none;
    session_.release(json_.position() - std::min(json_.position(), k_held_tail));
  }
  if (event != JsonEvent::object_end || !pieces || !has_model_) return Reading::none;
  for (const Told& told: told_)
    session_.find(*told.rule, told.offset, 0, told.evidence);
  judge();
  return Reading::valid;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_tokenizer;
const Format format_tokenizer{
    .name = "tokenizer", .family = "json", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
