#include "scanner/config/checks.hpp"

#include "scanner/config/names.hpp"
#include "scanner/config/paths.hpp"
#include "scanner/config/pipelines.hpp"
#include "scanner/config/rules.hpp"

#include <algorithm>
#include <array>

namespace hubgate::config {
namespace {

constexpr std::string_view k_pipeline = "model_index.json";

// Attention and expert implementations that transformers brings or downloads from nowhere.
constexpr std::array<std::string_view, 16> k_attention{"",
                                                       "eager",
                                                       "sdpa",
                                                       "flash_attention_2",
                                                       "flash_attention_3",
                                                       "flash_attention_4",
                                                       "flex_attention",
                                                       "sdpa_paged",
                                                       "eager_paged",
                                                       "paged_attention",
                                                       "batched_mm",
                                                       "grouped_mm",
                                                       "flash_attn",
                                                       "flash_attn_2",
                                                       "xformers",
                                                       "native"};

std::string replaced(std::string_view text, char from, char to) {
  std::string out(text);
  std::replace(out.begin(), out.end(), from, to);
  return out;
}

} // namespace

// "module.Class", or "owner/repo--module.Class": get_class_from_dynamic_module of transformers.
void check_code(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  const std::size_t dashes = value.text.find("--");
  const bool remote = dashes != std::string_view::npos;
  const std::string_view code = remote ? value.text.substr(dashes + 2) : value.text;
  const std::size_t dot = code.rfind('.');
  const std::string_view module = code.substr(0, std::min(dot, code.size()));
  const std::string_view condition = value.rule.condition;
  if (remote) {
    teller.session().refer("remote-code", value.offset, value.text, condition);
    teller.find(k_remote_code, value.offset, value.evidence(), condition);
    return;
  }
  const PathFacts facts = judge_path(module);
  if (facts.kind != PathKind::relative || code.find("..") != std::string_view::npos) {
    teller.find(k_code_path, value.offset, value.evidence(), condition);
    return;
  }
  teller.session().refer("code", value.offset, replaced(module, '.', '/') + ".py", condition);
  teller.find(k_auto_map, value.offset, value.evidence(), condition);
}

// How large the weights should be: for the tree verdict, which knows how large they are.
void check_dimension(Teller& teller, const Value& value) {
  const std::size_t digits = value.text.find_first_not_of("0123456789");
  if (value.kind != Scalar::number || digits != std::string_view::npos) return;
  std::string text(value.rule.key);
  text += ' ';
  text += value.text;
  teller.session().refer("dimension", value.offset, text, value.rule.condition);
}

void check_attention(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text) return;
  std::string_view name = value.text;
  if (name.starts_with("paged|")) name.remove_prefix(6);
  if (std::find(k_attention.begin(), k_attention.end(), name) != k_attention.end()) return;
  const bool repository = name.find('/') != std::string_view::npos;
  if (repository) teller.session().refer("remote-code", value.offset, name, value.rule.condition);
  teller.find(repository ? k_kernel : k_unknown_kernel, value.offset, value.evidence(),
              value.rule.condition);
}

void check_class_name(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || is_identifier(value.text)) return;
  teller.find(k_class_name, value.offset, value.evidence(), value.rule.condition);
  // owner/repo--file.Class and file.Class stand here in old repositories.
  if (value.text.find("--") != std::string_view::npos)
    teller.session().refer("remote-code", value.offset, value.text, value.rule.condition);
}

// `_class_name: ["file", "Class"]`: diffusers loads file.py of the repository.
void check_pipeline_class(Teller& teller, const Value& value) {
  if (value.below != 1 || value.index != 0 || value.kind != Scalar::text) return;
  teller.find(judge_path(value.text).kind == PathKind::relative ? k_custom_module : k_code_path,
              value.offset, value.evidence(), value.rule.condition);
  teller.session().refer("code", value.offset, std::string(value.text) + ".py",
                         value.rule.condition);
}

void check_custom_pipeline(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  teller.find(k_custom_module, value.offset, value.evidence(), value.rule.condition);
  const bool file = value.text.ends_with(".py") || value.text.find('/') == std::string_view::npos;
  teller.session().refer(file ? "code" : "remote-code", value.offset, value.text,
                         value.rule.condition);
}

// import_from_string() of sentence-transformers; a class of the repository's own code otherwise.
void check_module_type(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text) return;
  const std::string_view name = value.text;
  const NameVerdict verdict = judge_target(name);
  const std::size_t dot = name.rfind('.');
  if (verdict.standing == Standing::dangerous) {
    teller.find(k_dangerous_target, value.offset,
                value.evidence() + ": " + std::string(verdict.effect), value.rule.condition);
    return;
  }
  const bool own = name.starts_with("sentence_transformers.") &&
                   verdict.standing != Standing::malformed && name[dot + 1] >= 'A' &&
                   name[dot + 1] <= 'Z';
  if (own) return;
  teller.find(k_custom_module, value.offset, value.evidence(), value.rule.condition);
  if (name.find("--") != std::string_view::npos)
    teller.session().refer("remote-code", value.offset, name, value.rule.condition);
  else if (dot != std::string_view::npos)
    teller.session().refer("code", value.offset, replaced(name.substr(0, dot), '.', '/') + ".py",
                           value.rule.condition);
}

namespace {

void check_import(Teller& teller, const Value& value, std::string_view allowed) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  const std::string_view name = value.text;
  // Models with their own code live below transformers_modules.
  const bool own =
      name == allowed ||
      (name.starts_with(allowed) && name[allowed.size()] == '.' && is_dotted_name(name)) ||
      (name.starts_with("transformers_modules.") && allowed == "transformers");
  const NameVerdict verdict = judge_module(name);
  if (verdict.standing == Standing::dangerous)
    teller.find(k_dangerous_target, value.offset,
                value.evidence() + ": " + std::string(verdict.effect), value.rule.condition);
  else if (!own)
    teller.find(k_import, value.offset, value.evidence(), value.rule.condition);
  if (!own) teller.session().refer("import", value.offset, name, value.rule.condition);
}

} // namespace

void check_transformers_import(Teller& teller, const Value& value) {
  check_import(teller, value, "transformers");
}

void check_megatron_import(Teller& teller, const Value& value) {
  check_import(teller, value, "megatron");
}

void check_shard(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text) return;
  const PathFacts facts = judge_path(value.text);
  if (facts.kind != PathKind::relative)
    teller.find(k_shard_path, value.offset, value.evidence(), value.rule.condition);
  else if (!value.text.ends_with(".safetensors"))
    teller.find(k_shard_kind, value.offset, value.evidence(), "*.safetensors.index*.json");
  teller.session().refer("file", value.offset, value.text, value.rule.condition);
}

void check_model_file(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  const PathFacts facts = judge_path(value.text);
  // Savers leave the absolute path of their own cache behind, and loaders replace it.
  if (facts.kind == PathKind::relative || facts.kind == PathKind::hub_url) return;
  const bool share = value.text.starts_with("\\\\"); // opening it says who one is
  if (facts.kind == PathKind::absolute && !facts.sensitive && !share) return;
  if (facts.kind == PathKind::url && value.text.starts_with("http")) return;
  teller.find(k_file_path, value.offset, value.evidence(), value.rule.condition,
              facts.sensitive ? std::optional(Severity::malicious) : std::nullopt);
}

void check_trust(Teller& teller, const Value& value) {
  if (!value.is_truthy()) return;
  teller.find(k_trust, value.offset, value.evidence(), value.rule.condition);
}

void check_kernel_mapping(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.find('/') == std::string_view::npos) return;
  teller.find(k_kernel, value.offset, value.evidence(), value.rule.condition);
  teller.session().refer("remote-code", value.offset, value.text, value.rule.condition);
}

void check_jinja(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  const std::string copy(value.text);
  MemorySource source(as_bytes(copy));
  teller.session().embedded(value.path + ".jinja", source);
}

void check_base_model(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  teller.session().refer("repository", value.offset, value.text, value.rule.condition);
  teller.find(k_base_model, value.offset, value.evidence(), value.rule.condition);
}

void check_target_value(Teller& teller, const Value& value) {
  if (value.is_text())
    check_target(teller, value.path, value.text, value.offset, value.rule.condition);
}

// jsonargparse, which LightningCLI stands on: any class by its name. Only what is known to be
// dangerous is told: most configurations name their own classes.
void check_class_path(Teller& teller, const Value& value) {
  if (value.is_text() && judge_target(value.text).standing == Standing::dangerous)
    check_target(teller, value.path, value.text, value.offset, value.rule.condition);
}

void check_target(Teller& teller, std::string_view path, std::string_view name,
                  std::uint64_t offset, std::string_view condition) {
  const NameVerdict verdict = judge_target(name);
  std::string words = std::string(path) + " = " + std::string(name.substr(0, 300));
  switch (verdict.standing) {
  case Standing::allowed:
    return;
  case Standing::dangerous:
    words += ": " + std::string(verdict.effect);
    teller.find(k_dangerous_target, offset, words, condition);
    return;
  case Standing::library_call:
  case Standing::malformed:
    teller.find(k_target, offset, words, condition);
    return;
  case Standing::private_code:
    teller.find(k_target, offset, words, condition);
    teller.session().refer("import", offset, name, condition);
    return;
  }
}

// Names of variables that hold secrets, as people call them.
void check_resolvers(Teller& teller, std::string_view path, std::string_view text,
                     std::uint64_t offset) {
  constexpr std::array<std::string_view, 8> k_secret{"TOKEN",  "SECRET",     "PASSW", "API_KEY",
                                                     "APIKEY", "CREDENTIAL", "AWS_",  "PRIVATE"};
  for (std::size_t at = text.find("${oc.env:"); at != std::string_view::npos;
       at = text.find("${oc.env:", at + 1)) {
    const std::string_view name =
        text.substr(at + 9, std::min(text.find('}', at), text.size()) - at - 9);
    std::string upper(name);
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    const bool secret = std::any_of(k_secret.begin(), k_secret.end(), [&](std::string_view word) {
      return upper.find(word) != std::string::npos;
    });
    teller.find(k_resolver, offset, std::string(path) + " = " + std::string(text.substr(0, 300)),
                {}, secret ? std::optional(Severity::suspicious) : std::nullopt);
  }
}

void check_component(Teller& teller, std::string_view key, std::string_view library,
                     std::string_view name, std::uint64_t offset) {
  if (key.starts_with('_') || library == "diffusers" || library == "transformers") return;
  if (std::binary_search(k_pipeline_modules.begin(), k_pipeline_modules.end(), library)) return;
  const std::string words =
      std::string(key) + ": [" + std::string(library) + ", " + std::string(name) + "]";
  const PathFacts facts = judge_path(library);
  if (facts.kind != PathKind::relative) {
    teller.find(k_code_path, offset, words, k_pipeline);
    return;
  }
  teller.find(k_custom_module, offset, words, k_pipeline);
  teller.session().refer("code", offset, std::string(key) + "/" + std::string(library) + ".py",
                         k_pipeline);
}

} // namespace hubgate::config
