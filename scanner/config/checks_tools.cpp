// Manifests of serving tools (MLflow, BentoML, KServe, Seldon, Ray) and files that development
// tools read when a folder is opened.
#include "scanner/config/checks.hpp"

#include "scanner/config/names.hpp"
#include "scanner/config/paths.hpp"
#include "scanner/config/rules.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>

namespace hubgate::config {
namespace {

// Modules of mlflow with a loader of models: its flavors, and those of pyfunc.loaders.
constexpr std::array<std::string_view, 42> k_flavors{"catboost",
                                                     "diviner",
                                                     "dspy",
                                                     "fastai",
                                                     "gluon",
                                                     "h2o",
                                                     "johnsnowlabs",
                                                     "keras",
                                                     "langchain",
                                                     "lightgbm",
                                                     "llama_index",
                                                     "mleap",
                                                     "onnx",
                                                     "openai",
                                                     "paddle",
                                                     "pmdarima",
                                                     "promptflow",
                                                     "prophet",
                                                     "pyfunc.model",
                                                     "pyfunc.scoring_server",
                                                     "pytorch",
                                                     "pytorch.pickle_module",
                                                     "recipes",
                                                     "sentence_transformers",
                                                     "shap",
                                                     "sklearn",
                                                     "spacy",
                                                     "spark",
                                                     "statsmodels",
                                                     "tensorflow",
                                                     "transformers",
                                                     "xgboost",
                                                     "chat_agent",
                                                     "chat_model",
                                                     "code_model",
                                                     "responses_agent",
                                                     "keras.load",
                                                     "langchain.model",
                                                     "llama_index.model",
                                                     "crate",
                                                     "anthropic",
                                                     "groq"};

// A module or attribute that a serving tool imports by itself.
void check_module(Teller& teller, const Value& value, std::string_view own) {
  if (!value.is_text()) return;
  const NameVerdict verdict = judge_module(value.text);
  const std::string_view condition = value.rule.condition;
  if (verdict.standing == Standing::dangerous) {
    teller.find(k_dangerous_target, value.offset,
                value.evidence() + ": " + std::string(verdict.effect), condition);
    return;
  }
  const bool known =
      value.text == own || (value.text.starts_with(own) && value.text[own.size()] == '.' &&
                            verdict.standing != Standing::malformed);
  if (known) return;
  teller.find(k_import, value.offset, value.evidence(), condition);
  teller.session().refer("import", value.offset, value.text, condition);
}

bool leaves(const PathFacts& facts) {
  return facts.kind != PathKind::relative;
}

} // namespace

void check_loader_module(Teller& teller, const Value& value) {
  std::string_view flavor = value.text;
  if (flavor.starts_with("mlflow.")) {
    flavor.remove_prefix(7);
    if (flavor.starts_with("pyfunc.loaders.")) flavor.remove_prefix(15);
    if (std::find(k_flavors.begin(), k_flavors.end(), flavor) != k_flavors.end()) return;
  }
  check_module(teller, value, "mlflow");
}

void check_keras_module(Teller& teller, const Value& value) {
  if (value.text == "tf_keras" || value.text.starts_with("tensorflow.keras") ||
      value.text.starts_with("tensorflow.python.keras"))
    return;
  check_module(teller, value, "keras");
}

// Models from code: mlflow runs the file to get the model.
void check_model_code(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  teller.find(leaves(judge_path(value.text)) ? k_code_path : k_serving_code, value.offset,
              value.evidence(), value.rule.condition);
  teller.session().refer("code", value.offset, value.text, value.rule.condition);
}

// A folder that is put on sys.path before the model is loaded.
void check_code_folder(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  teller.find(leaves(judge_path(value.text)) ? k_code_path : k_entry_point, value.offset,
              value.evidence(), value.rule.condition);
  teller.session().refer("code", value.offset, std::string(value.text) + "/", value.rule.condition);
}

// Artifacts of an MLmodel: trained elsewhere, so an absolute path is a left-over only where it
// names the place of the training run.
void check_model_path(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  const PathFacts facts = judge_path(value.text);
  if (facts.kind == PathKind::traversal || facts.sensitive)
    teller.find(k_file_path, value.offset, value.evidence(), value.rule.condition,
                facts.sensitive ? std::optional(Severity::malicious) : std::nullopt);
}

void check_serving_trust(Teller& teller, const Value& value) {
  if (value.is_truthy())
    teller.find(k_trust, value.offset, value.evidence(), value.rule.condition,
                Severity::suspicious);
}

// "module:attribute" or "module.py:attribute".
void check_service(Teller& teller, const Value& value) {
  if (!value.is_text() || value.text.find(':') == std::string_view::npos) return;
  std::string module(value.text.substr(0, value.text.find(':')));
  teller.find(leaves(judge_path(module)) ? k_code_path : k_entry_point, value.offset,
              value.evidence(), value.rule.condition);
  if (!module.ends_with(".py")) {
    for (char& c: module)
      if (c == '.') c = '/';
    module += ".py";
  }
  teller.session().refer("code", value.offset, module, value.rule.condition);
}

void check_serving_file(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  teller.find(leaves(judge_path(value.text)) ? k_code_path : k_serving_code, value.offset,
              value.evidence(), value.rule.condition);
  teller.session().refer("file", value.offset, value.text, value.rule.condition);
}

void check_remote_folder(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  const PathFacts facts = judge_path(value.text);
  if (facts.kind != PathKind::url) return;
  const bool data = value.rule.key == "storageUri" || value.rule.key == "modelUri" ||
                    value.rule.key == "storage_uri";
  teller.find(data ? k_entry_point : k_serving_code, value.offset, value.evidence(),
              value.rule.condition);
  teller.session().refer("url", value.offset, value.text, value.rule.condition);
}

// Runs on the machine of whoever opens the folder.
void check_command(Teller& teller, const Value& value) {
  if (value.is_text()) teller.find(k_command, value.offset, value.evidence(), value.rule.condition);
}

// Runs when somebody asks for it, or inside a container.
void check_task(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  const auto script = find_script(value.text);
  teller.find(script ? k_task_script : k_task, value.offset,
              value.evidence() + (script ? ": " + std::string(script->what) : std::string()),
              value.rule.condition);
}

void check_run_on(Teller& teller, const Value& value) {
  if (value.text == "folderOpen" || value.text == "on" || value.text == "true")
    teller.find(k_command, value.offset, value.evidence(), value.rule.condition);
}

// Continuous integration: runs on the forge that hosts the repository, and honest steps pipe
// installers into shells.
void check_pipeline_step(Teller& teller, const Value& value) {
  if (!value.is_text()) return;
  const auto script = find_script(value.text);
  if (!script) return;
  const bool shell = script->what == "a reverse shell" || script->what == "an interactive shell";
  teller.find(shell ? k_task_script : k_task, value.offset,
              value.evidence() + ": " + std::string(script->what), value.rule.condition);
}

} // namespace hubgate::config
