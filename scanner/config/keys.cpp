// The table of keys: which values are looked at, by which check, under which names of files.
#include "scanner/config/checks.hpp"

#include <algorithm>
#include <array>

namespace hubgate::config {
namespace {

constexpr std::string_view k_json = "*.json";
constexpr std::string_view k_yaml = "*.yaml|*.yml";
constexpr std::string_view k_model_configs =
    "config.json|generation_config.json|tokenizer_config.json|processor_config.json|"
    "preprocessor_config.json|video_preprocessor_config.json|image_processor_config.json|"
    "adapter_config.json|model_index.json|modules.json|config_sentence_transformers.json|"
    "scheduler_config.json|configuration.json";
constexpr std::string_view k_configs = "*config*.json|model_index.json";
constexpr std::string_view k_metadata = "metadata.jsonl|metadata.json|*metadata*.jsonl";
constexpr std::string_view k_card = "README.md|README*.md|dataset_card.md";
constexpr std::string_view k_bento = "bento.yaml|bentofile.yaml|bentofile.yml";
constexpr std::string_view k_serve = "*serve*.yaml|*serve*.yml|*ray*.yaml|*ray*.yml|config.yaml";
constexpr std::string_view k_vscode = "**/.vscode/tasks.json|**/.zed/tasks.json";
constexpr std::string_view k_container = "devcontainer.json|.devcontainer.json|**/.devcontainer/**";
constexpr std::string_view k_agents =
    "mcp.json|.mcp.json|mcp_config.json|claude_desktop_config.json|**/.claude/settings.json|"
    "**/.claude/settings.local.json|**/.claude/hooks.json|**/.cursor/hooks.json|"
    "**/.gemini/settings.json";
constexpr std::string_view k_pipelines =
    "**/.github/workflows/*|**/.github/actions/"
    "**|.gitlab-ci.yml|.travis.yml|.pre-commit-config.yaml|"
    "azure-pipelines.yml|**/.circleci/config.yml|.pre-commit-hooks.yaml";

// Sorted by key.
constexpr std::array k_keys{
    KeyRule{"_attn_implementation", "", 2, check_attention, k_json},
    KeyRule{"_attn_implementation_internal", "", 2, check_attention, k_json},
    KeyRule{"_class_name", "^", 0, check_class_name, k_configs},
    KeyRule{"_class_name", "^", 1, check_pipeline_class, k_configs},
    KeyRule{"_experts_implementation", "", 2, check_attention, k_json},
    KeyRule{"_experts_implementation_internal", "", 2, check_attention, k_json},
    KeyRule{"_target_", "", 1, check_target_value, ""},
    KeyRule{"apiKeyHelper", "", 0, check_command, k_agents},
    KeyRule{"args", "containers", 1, check_task, k_yaml},
    KeyRule{"attn_implementation", "", 2, check_attention, k_configs},
    KeyRule{"audio_path", "", 1, check_annotation, ""},
    KeyRule{"auto_map", "", 2, check_code, k_json},
    KeyRule{"awsAuthRefresh", "", 0, check_command, k_agents},
    KeyRule{"base_model_name_or_path", "", 0, check_base_model, "adapter_config.json"},
    KeyRule{"before_script", "", 1, check_pipeline_step, k_pipelines},
    KeyRule{"chat_template", "", 3, check_jinja, k_json},
    KeyRule{"chat_template_file", "", 0, check_model_file, k_configs},
    KeyRule{"class_path", "", 1, check_class_path, ""},
    KeyRule{"code", "", 1, check_code_folder, "MLmodel"},
    KeyRule{"code_paths", "", 1, check_code_folder, "MLmodel"},
    KeyRule{"command", "containers", 1, check_task, k_yaml},
    KeyRule{"command", "", 1, check_task, k_vscode},
    KeyRule{"command", "", 1, check_command, k_agents},
    KeyRule{"custom_pipeline", "", 1, check_custom_pipeline, k_configs},
    KeyRule{"data", "", 1, check_model_path, "MLmodel"},
    KeyRule{"data_dir", "", 1, check_data_files, k_card},
    KeyRule{"data_files", "", 4, check_data_files, k_card},
    KeyRule{"docker_template", "", 0, check_serving_file, k_bento},
    KeyRule{"dockerfile_template", "", 0, check_serving_file, k_bento},
    KeyRule{"entry", "", 0, check_pipeline_step, k_pipelines},
    KeyRule{"experts_implementation", "", 2, check_attention, k_configs},
    KeyRule{"feature_extractor_type", "", 0, check_class_name, k_configs},
    KeyRule{"file", "", 1, check_annotation, ""},
    KeyRule{"file_name", "", 1, check_row_file, k_metadata},
    KeyRule{"file_names", "", 1, check_row_file, k_metadata},
    KeyRule{"file_path", "", 1, check_annotation, ""},
    KeyRule{"filename", "", 1, check_annotation, ""},
    KeyRule{"head_setup_commands", "", 1, check_task, k_yaml},
    KeyRule{"head_start_ray_commands", "", 1, check_task, k_yaml},
    KeyRule{"hidden_size", "^", 0, check_dimension, "config.json"},
    KeyRule{"image", "", 1, check_annotation, ""},
    KeyRule{"image_path", "", 1, check_annotation, ""},
    KeyRule{"image_processor_type", "", 0, check_class_name, k_configs},
    KeyRule{"img_path", "", 1, check_annotation, ""},
    KeyRule{"import_path", "", 0, check_service, k_serve},
    KeyRule{"initialization_commands", "", 1, check_task, k_yaml},
    KeyRule{"initializeCommand", "^", 2, check_command, k_container},
    KeyRule{"install", "scripts", 0, check_task, "package.json"},
    KeyRule{"keras_module", "", 0, check_keras_module, "MLmodel"},
    KeyRule{"kernel_mapping", "", 3, check_kernel_mapping, k_configs},
    KeyRule{"license", "^", 1, check_licence, k_card},
    KeyRule{"loader_module", "", 0, check_loader_module, "MLmodel"},
    KeyRule{"mask_path", "", 1, check_annotation, ""},
    KeyRule{"megatron_core", "", 0, check_megatron_import, "adapter_config.json"},
    KeyRule{"merges_file", "", 0, check_model_file, k_configs},
    KeyRule{"modelUri", "", 0, check_remote_folder, k_yaml},
    KeyRule{"model_code_path", "", 1, check_model_code, "MLmodel"},
    KeyRule{"model_path", "", 0, check_model_path, "MLmodel"},
    KeyRule{"n_embd", "^", 0, check_dimension, "config.json"},
    KeyRule{"n_layer", "^", 0, check_dimension, "config.json"},
    KeyRule{"num_hidden_layers", "^", 0, check_dimension, "config.json"},
    KeyRule{"onCreateCommand", "^", 2, check_task, k_container},
    KeyRule{"otelHeadersHelper", "", 0, check_command, k_agents},
    KeyRule{"parent_library", "auto_mapping", 0, check_transformers_import, "adapter_config.json"},
    KeyRule{"path", "[]", 0, check_model_file, "modules.json"},
    KeyRule{"path", "asset", 0, check_annotation, ""},
    KeyRule{"path", "", 1, check_annotation, ""},
    KeyRule{"path", "", 1, check_model_path, "MLmodel"},
    KeyRule{"pickled_model", "", 0, check_model_path, "MLmodel"},
    KeyRule{"postAttachCommand", "^", 2, check_task, k_container},
    KeyRule{"postCreateCommand", "^", 2, check_task, k_container},
    KeyRule{"postStartCommand", "^", 2, check_task, k_container},
    KeyRule{"postinstall", "scripts", 0, check_task, "package.json"},
    KeyRule{"preinstall", "scripts", 0, check_task, "package.json"},
    KeyRule{"prepare", "scripts", 0, check_task, "package.json"},
    KeyRule{"processor_class", "", 0, check_class_name, k_configs},
    KeyRule{"py_modules", "", 1, check_remote_folder, k_serve},
    KeyRule{"run", "", 0, check_pipeline_step, k_pipelines},
    KeyRule{"runOn", "", 0, check_run_on, k_vscode},
    KeyRule{"script", "", 1, check_pipeline_step, k_pipelines},
    KeyRule{"seg_map_path", "", 1, check_annotation, ""},
    KeyRule{"service", "^", 0, check_service, k_bento},
    KeyRule{"setup_commands", "", 1, check_task, k_yaml},
    KeyRule{"setup_script", "", 0, check_serving_file, k_bento},
    KeyRule{"sp_model_file", "", 0, check_model_file, k_configs},
    KeyRule{"special_tokens_map_file", "", 0, check_model_file, k_configs},
    KeyRule{"spm_file", "", 0, check_model_file, k_configs},
    KeyRule{"storageUri", "", 0, check_remote_folder, k_yaml},
    KeyRule{"storage_uri", "", 0, check_remote_folder, k_yaml},
    KeyRule{"target", "^", 0, check_target_value, "model_config.yaml"},
    KeyRule{"task.allowAutomaticTasks", "^", 0, check_run_on, "**/.vscode/settings.json"},
    KeyRule{"tokenizer_class", "", 1, check_class_name, k_configs},
    KeyRule{"tokenizer_file", "", 0, check_model_file, k_configs},
    KeyRule{"total_size", "metadata", 0, check_dimension, "*.index.json"},
    KeyRule{"trust_remote_code", "", 1, check_trust, k_model_configs},
    KeyRule{"trust_remote_code", "", 1, check_serving_trust, "MLmodel|sentence_bert_config.json"},
    KeyRule{"type", "[]", 0, check_module_type, "modules.json"},
    KeyRule{"types", "", 1, check_module_type, "router_config.json"},
    KeyRule{"updateContentCommand", "^", 2, check_task, k_container},
    KeyRule{"uri", "artifacts", 0, check_model_path, "MLmodel"},
    KeyRule{"video", "", 1, check_annotation, ""},
    KeyRule{"video_path", "", 1, check_annotation, ""},
    KeyRule{"video_processor_type", "", 0, check_class_name, k_configs},
    KeyRule{"vocab_file", "", 0, check_model_file, k_configs},
    KeyRule{"vocab_size", "^", 0, check_dimension, "config.json"},
    KeyRule{"weight_map", "", 1, check_shard, "*.json"},
    KeyRule{"worker_setup_commands", "", 1, check_task, k_yaml},
    KeyRule{"working_dir", "", 0, check_remote_folder, k_serve},
};
static_assert(std::is_sorted(k_keys.begin(), k_keys.end(),
                             [](const KeyRule& a, const KeyRule& b) { return a.key < b.key; }));

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

bool Value::is_truthy() const {
  if (kind == Scalar::null || text.empty()) return false;
  if (kind == Scalar::number) return text != "0" && text != "0.0";
  return text != "false" && text != "False" && text != "FALSE" && text != "no" && text != "No" &&
         text != "off" && text != "Off";
}

std::string Value::evidence() const {
  return path + " = " + std::string(text.substr(0, 400));
}

} // namespace hubgate::config
