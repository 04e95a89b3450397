#include "scanner/config/checks.hpp"

#include "scanner/config/names.hpp"
#include "scanner/config/paths.hpp"
#include "scanner/config/pipelines.hpp"
#include "scanner/config/rules.hpp"

#include <algorithm>
#include <array>

namespace hubgate::config {
namespace {

constexpr std::string_view k_json = "*.json";
constexpr std::string_view k_model_configs =
    "config.json|generation_config.json|tokenizer_config.json|processor_config.json|"
    "preprocessor_config.json|video_preprocessor_config.json|image_processor_config.json|"
    "adapter_config.json|model_index.json|modules.json|config_sentence_transformers.json|"
    "scheduler_config.json|configuration.json";
constexpr std::string_view k_configs = "*config*.json|model_index.json";
constexpr std::string_view k_metadata = "metadata.jsonl|metadata.json|*metadata*.jsonl";
constexpr std::string_view k_pipeline = "model_index.json";

using enum Check;

// Sorted by key.
constexpr std::array k_keys{
    KeyRule{"_attn_implementation", "", 2, attention, k_json},
    KeyRule{"_attn_implementation_internal", "", 2, attention, k_json},
    KeyRule{"_class_name", "^", 0, class_name, k_configs},
    KeyRule{"_class_name", "^", 1, pipeline_class, k_configs},
    KeyRule{"_experts_implementation", "", 2, attention, k_json},
    KeyRule{"_experts_implementation_internal", "", 2, attention, k_json},
    KeyRule{"_target_", "", 1, target, ""},
    KeyRule{"attn_implementation", "", 2, attention, k_configs},
    KeyRule{"audio_path", "", 1, annotation, ""},
    KeyRule{"auto_map", "", 2, auto_map, k_json},
    KeyRule{"base_model_name_or_path", "", 0, base_model, "adapter_config.json"},
    KeyRule{"chat_template", "", 0, jinja, k_json},
    KeyRule{"custom_pipeline", "", 1, custom_pipeline, k_configs},
    KeyRule{"experts_implementation", "", 2, attention, k_configs},
    KeyRule{"feature_extractor_type", "", 0, class_name, k_configs},
    KeyRule{"file", "", 1, annotation, ""},
    KeyRule{"file_name", "", 1, row_file, k_metadata},
    KeyRule{"file_names", "", 1, row_file, k_metadata},
    KeyRule{"file_path", "", 1, annotation, ""},
    KeyRule{"filename", "", 1, annotation, ""},
    KeyRule{"image", "", 1, annotation, ""},
    KeyRule{"image_path", "", 1, annotation, ""},
    KeyRule{"image_processor_type", "", 0, class_name, k_configs},
    KeyRule{"img_path", "", 1, annotation, ""},
    KeyRule{"kernel_mapping", "", 3, kernel_mapping, k_configs},
    KeyRule{"mask_path", "", 1, annotation, ""},
    KeyRule{"megatron_core", "", 0, import_module, "adapter_config.json"},
    KeyRule{"merges_file", "", 0, model_file, k_configs},
    KeyRule{"parent_library", "auto_mapping", 0, parent_library, "adapter_config.json"},
    KeyRule{"path", "^", 0, model_file, "modules.json"},
    KeyRule{"path", "asset", 0, annotation, ""},
    KeyRule{"path", "", 1, annotation, ""},
    KeyRule{"processor_class", "", 0, class_name, k_configs},
    KeyRule{"seg_map_path", "", 1, annotation, ""},
    KeyRule{"sp_model_file", "", 0, model_file, k_configs},
    KeyRule{"spm_file", "", 0, model_file, k_configs},
    KeyRule{"template", "chat_template", 0, jinja, k_json},
    KeyRule{"tokenizer_class", "", 1, class_name, k_configs},
    KeyRule{"tokenizer_file", "", 0, model_file, k_configs},
    KeyRule{"trust_remote_code", "", 1, trust, k_model_configs},
    KeyRule{"type", "", 0, module_type, "modules.json"},
    KeyRule{"types", "", 1, module_type, "router_config.json"},
    KeyRule{"video", "", 1, annotation, ""},
    KeyRule{"video_path", "", 1, annotation, ""},
    KeyRule{"video_processor_type", "", 0, class_name, k_configs},
    KeyRule{"vocab_file", "", 0, model_file, k_configs},
    KeyRule{"weight_map", "", 1, shard, "*.json"},
};
static_assert(std::is_sorted(k_keys.begin(), k_keys.end(),
                             [](const KeyRule& a, const KeyRule& b) { return a.key < b.key; }));

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

std::string evidence(const Value& value) {
  return value.path + " = " + std::string(value.text.substr(0, 400));
}

std::string replaced(std::string_view text, char from, char to) {
  std::string out(text);
  std::replace(out.begin(), out.end(), from, to);
  return out;
}

bool is_truthy(const Value& value) {
  const std::string_view text = value.text;
  if (value.kind == Scalar::null || text.empty()) return false;
  if (value.kind == Scalar::number) return text != "0" && text != "0.0";
  return text != "false" && text != "False" && text != "no" && text != "off" && text != "0";
}

// "module.Class", or "owner/repo--module.Class": get_class_from_dynamic_module of transformers.
void check_code(Teller& teller, const Value& value) {
  const std::size_t dashes = value.text.find("--");
  const bool remote = dashes != std::string_view::npos;
  const std::string_view code = remote ? value.text.substr(dashes + 2) : value.text;
  const std::size_t dot = code.rfind('.');
  const std::string_view module = code.substr(0, std::min(dot, code.size()));
  const std::string_view condition = value.rule.condition;
  if (remote) {
    teller.session().refer("remote-code", value.offset, value.text, condition);
    teller.find(k_remote_code, value.offset, evidence(value), condition);
    return;
  }
  const PathFacts facts = judge_path(module);
  if (facts.kind != PathKind::relative || code.find("..") != std::string_view::npos) {
    teller.find(k_code_path, value.offset, evidence(value), condition);
    return;
  }
  teller.session().refer("code", value.offset, replaced(module, '.', '/') + ".py", condition);
  teller.find(k_auto_map, value.offset, evidence(value), condition);
}

void check_attention(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text) return;
  std::string_view name = value.text;
  if (name.starts_with("paged|")) name.remove_prefix(6);
  if (std::find(k_attention.begin(), k_attention.end(), name) != k_attention.end()) return;
  const bool repository = name.find('/') != std::string_view::npos;
  if (repository) teller.session().refer("remote-code", value.offset, name, value.rule.condition);
  teller.find(repository ? k_kernel : k_unknown_kernel, value.offset, evidence(value),
              value.rule.condition);
}

void check_class_name(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || is_identifier(value.text)) return;
  teller.find(k_class_name, value.offset, evidence(value), value.rule.condition);
  // owner/repo--file.Class and file.Class stand here in old repositories.
  if (value.text.find("--") != std::string_view::npos)
    teller.session().refer("remote-code", value.offset, value.text, value.rule.condition);
}

// `_class_name: ["file", "Class"]`: diffusers loads file.py of the repository.
void check_pipeline_class(Teller& teller, const Value& value) {
  if (value.below != 1 || value.index != 0 || value.kind != Scalar::text) return;
  teller.find(judge_path(value.text).kind == PathKind::relative ? k_custom_module : k_code_path,
              value.offset, evidence(value), value.rule.condition);
  teller.session().refer("code", value.offset, std::string(value.text) + ".py",
                         value.rule.condition);
}

void check_custom_pipeline(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  teller.find(k_custom_module, value.offset, evidence(value), value.rule.condition);
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
                evidence(value) + ": " + std::string(verdict.effect), value.rule.condition);
    return;
  }
  const bool own = name.starts_with("sentence_transformers.") &&
                   verdict.standing != Standing::malformed && name[dot + 1] >= 'A' &&
                   name[dot + 1] <= 'Z';
  if (own) return;
  teller.find(k_custom_module, value.offset, evidence(value), value.rule.condition);
  if (name.find("--") != std::string_view::npos)
    teller.session().refer("remote-code", value.offset, name, value.rule.condition);
  else if (dot != std::string_view::npos)
    teller.session().refer("code", value.offset, replaced(name.substr(0, dot), '.', '/') + ".py",
                           value.rule.condition);
}

void check_import(Teller& teller, const Value& value, std::string_view allowed) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  const std::string_view name = value.text;
  // Models with their own code live below transformers_modules.
  const bool own =
      name == allowed ||
      (name.starts_with(allowed) && name[allowed.size()] == '.' && is_dotted_name(name)) ||
      (name.starts_with("transformers_modules.") && allowed == "transformers");
  const NameVerdict verdict = judge_target(name);
  if (verdict.standing == Standing::dangerous)
    teller.find(k_dangerous_target, value.offset,
                evidence(value) + ": " + std::string(verdict.effect), value.rule.condition);
  else if (!own)
    teller.find(k_import, value.offset, evidence(value), value.rule.condition);
  if (!own) teller.session().refer("import", value.offset, name, value.rule.condition);
}

void check_shard(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text) return;
  const PathFacts facts = judge_path(value.text);
  if (facts.kind != PathKind::relative)
    teller.find(k_shard_path, value.offset, evidence(value), value.rule.condition);
  else if (!value.text.ends_with(".safetensors"))
    teller.find(k_shard_kind, value.offset, evidence(value), "*.safetensors.index*.json");
  teller.session().refer("file", value.offset, value.text, value.rule.condition);
}

void check_model_file(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  const PathFacts facts = judge_path(value.text);
  // Savers leave the absolute path of their own cache behind, and loaders replace it.
  if (facts.kind == PathKind::relative || facts.kind == PathKind::hub_url) return;
  if (facts.kind == PathKind::absolute && !facts.sensitive) return;
  if (facts.kind == PathKind::url && value.text.starts_with("http")) return;
  teller.find(k_file_path, value.offset, evidence(value), value.rule.condition,
              facts.sensitive ? std::optional(Severity::malicious) : std::nullopt);
}

void check_annotation(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.size() > 4096) return;
  const PathFacts facts = judge_path(value.text);
  // `../images/1.jpg` is how many annotations are written; nobody climbs three folders.
  if (facts.climbs < 3 && !facts.sensitive) return;
  if (value.text.find('\n') != std::string_view::npos) return;
  teller.find(k_annotation_path, value.offset, evidence(value),
              "*.json|*.jsonl|*.yaml|*.yml|*.ndjson");
}

void check_row_file(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text) return;
  const PathFacts facts = judge_path(value.text);
  const bool leaves = facts.kind == PathKind::traversal || facts.kind == PathKind::absolute ||
                      facts.kind == PathKind::file_url;
  if (leaves) teller.find(k_data_path, value.offset, evidence(value), value.rule.condition);
  check_annotation(teller, value);
}

void check_trust(Teller& teller, const Value& value) {
  if (!is_truthy(value)) return;
  teller.find(k_trust, value.offset, evidence(value), value.rule.condition);
}

void check_kernel_mapping(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.find('/') == std::string_view::npos) return;
  teller.find(k_kernel, value.offset, evidence(value), value.rule.condition);
  teller.session().refer("remote-code", value.offset, value.text, value.rule.condition);
}

void check_jinja(Teller& teller, const Value& value) {
  if (value.kind != Scalar::text || value.text.empty()) return;
  const std::string copy(value.text);
  MemorySource source(as_bytes(copy));
  teller.session().embedded(value.path + ".jinja", source);
}

} // namespace

std::span<const KeyRule> rules_of(std::string_view key) {
  // A column of images beside others: `left_file_name`.
  if (key.ends_with("_file_name")) key = "file_name";
  if (key.ends_with("_file_names")) key = "file_names";
  const auto before = [](const KeyRule& a, std::string_view b) { return a.key < b; };
  const auto begin = std::lower_bound(k_keys.begin(), k_keys.end(), key, before);
  auto end = begin;
  while (end != k_keys.end() && end->key == key)
    ++end;
  return {begin, end};
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

void check_value(Teller& teller, const Value& value) {
  switch (value.rule.check) {
  case annotation:
    return check_annotation(teller, value);
  case attention:
    return check_attention(teller, value);
  case auto_map:
    if (value.kind == Scalar::text) check_code(teller, value);
    return;
  case base_model:
    if (value.kind != Scalar::text || value.text.empty()) return;
    teller.session().refer("repository", value.offset, value.text, value.rule.condition);
    return teller.find(k_base_model, value.offset, evidence(value), value.rule.condition);
  case class_name:
    return check_class_name(teller, value);
  case custom_pipeline:
    return check_custom_pipeline(teller, value);
  case import_module:
    return check_import(teller, value, "megatron");
  case kernel_mapping:
    return check_kernel_mapping(teller, value);
  case model_file:
    return check_model_file(teller, value);
  case module_type:
    return check_module_type(teller, value);
  case parent_library:
    return check_import(teller, value, "transformers");
  case pipeline_class:
    return check_pipeline_class(teller, value);
  case row_file:
    return check_row_file(teller, value);
  case shard:
    return check_shard(teller, value);
  case target:
    if (value.kind == Scalar::text)
      check_target(teller, value.path, value.text, value.offset, value.rule.condition);
    return;
  case jinja:
    return check_jinja(teller, value);
  case trust:
    return check_trust(teller, value);
  }
}

} // namespace hubgate::config
