#include "scanner/formats/gguf/metadata.hpp"

#include "scanner/code/jinja/jinja.hpp"

#include <algorithm>

namespace hubgate::gguf {
namespace {

constexpr std::size_t k_kept = 4096; ///< keys that judge() asks for, in a file made to have many

bool is_template(std::string_view key) {
  return key.find("chat_template") != std::string_view::npos;
}

bool has_tags(std::string_view text) {
  return text.find("{{") != std::string_view::npos || text.find("{%") != std::string_view::npos;
}

bool is_token_id(std::string_view key) {
  return key.starts_with("tokenizer.") && key.ends_with("_token_id");
}

} // namespace

bool Metadata::text(const std::string& key, std::string_view value, std::uint64_t offset) {
  constexpr std::size_t k_max_licence = 100; // longer ones are texts, not names
  if (key == "general.license" && value.size() <= k_max_licence)
    session_.refer("licence", offset, value);
  if (!is_template(key)) {
    // Templates under other keys are for programs of somebody's own: only what no template does.
    if (key.find("template") != std::string::npos && has_tags(value))
      jinja::analyse_template(session_, value, {.name = key, .offset = offset, .chat = false});
    return false;
  }
  jinja::analyse_template(session_, value, {.name = key, .offset = offset});
  // Bytes that no text has may be something else as well: the caller looks.
  return value.find('\0') == std::string_view::npos;
}

void Metadata::array(const std::string& key, std::uint64_t length) {
  if (key.starts_with("tokenizer.") && lengths_.size() < k_kept) lengths_[key] = length;
}

bool Metadata::wants_numbers(std::string_view key) const {
  return key == "tokenizer.ggml.token_type";
}

void Metadata::element(const std::string& key, std::string_view value, std::uint64_t offset) {
  if (is_template(key) && has_tags(value))
    jinja::analyse_template(session_, value, {.name = key, .offset = offset});
  if (key != "tokenizer.ggml.merges") return;
  // "left right": llama.cpp looks for the blank from the second byte on.
  if (value.size() > 2 && value.find(' ', 1) != std::string_view::npos) return;
  if (bad_merges_++ == 0) first_bad_ = offset;
}

void Metadata::element(const std::string& /*key*/, std::uint32_t value, std::uint64_t offset) {
  // enum llama_token_type: undefined 0 to byte 6.
  if (value <= 6) return;
  if (bad_types_++ == 0) first_bad_type_ = offset;
}

std::string Metadata::number(const std::string& key, std::uint32_t type, std::uint64_t value) {
  const bool floating = type == 6 || type == 12;
  if (floating) return {};
  if ((is_token_id(key) || key.starts_with("split.")) && numbers_.size() < k_kept)
    numbers_[key] = value;
  // Divisors, and counts that tables are made for.
  if (key.ends_with(".vision.patch_size") && value == 0) return key + " is 0";
  if (key.ends_with(".vision.image_size") && value > 1'000'000)
    return key + " is " + std::to_string(value);
  if (key.ends_with(".block_count") && value > 100'000) return key + " is " + std::to_string(value);
  if (key.ends_with(".expert_count") && value > 1'000'000)
    return key + " is " + std::to_string(value);
  if (key.ends_with(".vocab_size") && value > 100'000'000)
    return key + " is " + std::to_string(value);
  return {};
}

void Metadata::judge(std::uint64_t tensors) {
  const auto length_of = [&](std::string_view key) -> std::uint64_t {
    const auto at = lengths_.find(key);
    return at == lengths_.end() ? 0 : at->second;
  };
  const std::uint64_t tokens = length_of("tokenizer.ggml.tokens");
  if (tokens > 0) {
    for (const std::string_view table: {"tokenizer.ggml.scores", "tokenizer.ggml.token_type"})
      if (const std::uint64_t length = length_of(table); length != 0 && length != tokens)
        session_.find(k_rule_tokenizer, 0, 0,
                      std::string(table) + " has " + std::to_string(length) + " entries for " +
                          std::to_string(tokens) + " tokens");
    for (const auto& [key, value]: numbers_) {
      if (!is_token_id(key) || value < tokens) continue;
      // -1 stands for "none" in older converters.
      const bool none = value == 0xffffffff || value == ~std::uint64_t{0};
      if (!none)
        session_.find(k_rule_tokenizer, 0, 0,
                      key + " is " + std::to_string(value) + " of " + std::to_string(tokens) +
                          " tokens");
    }
  }
  if (bad_merges_ > 0)
    session_.find(k_rule_tokenizer, first_bad_, 0,
                  std::to_string(bad_merges_) + " merges that join no two tokens");
  if (bad_types_ > 0)
    session_.find(k_rule_tokenizer, first_bad_type_, 0,
                  std::to_string(bad_types_) + " tokens of a type that does not exist");

  const auto split = [&](std::string_view key) -> std::optional<std::uint64_t> {
    const auto at = numbers_.find(key);
    return at == numbers_.end() ? std::nullopt : std::optional<std::uint64_t>(at->second);
  };
  const auto count = split("split.count");
  const auto number = split("split.no");
  const auto all = split("split.tensors.count");
  // gguf-split writes 0 of 0 or 1 into models that were merged again.
  if (number && *number != 0 && (!count || *number >= *count))
    session_.find(k_rule_split, 0, 0,
                  "part " + std::to_string(*number) + " of " + std::to_string(count.value_or(0)));
  if (count && *count > 1 && all && *all < tensors)
    session_.find(k_rule_split, 0, 0,
                  "this part has " + std::to_string(tensors) + " tensors of " +
                      std::to_string(*all) + " in all");
}

} // namespace hubgate::gguf
