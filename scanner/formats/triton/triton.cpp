// Triton's config.pbtxt: which backend runs a model (model_config.proto). See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/core/textproto.hpp"
#include "scanner/formats/tensorflow/paths.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

using tensorflow::kind_of;
using tensorflow::PathKind;

constexpr std::string_view k_names = "*.pbtxt";
constexpr std::string_view k_atlas = "AML.T0011.000";

constexpr std::array<Rule, 4> k_rules{{
    {"triton-python-backend", "code", Severity::informational, Reach::load, "CWE-94", k_atlas,
     "CFG-017", "the server runs the Python file of this model"},
    {"triton-custom-backend", "code", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "CFG-017", "the server loads a native library that this model names"},
    {"triton-path", "traversal", Severity::malicious, Reach::load, "CWE-22", "AML.T0010.003",
     "CFG-017", "a file outside of the model's folder is loaded"},
    {"triton-environment", "code", Severity::suspicious, Reach::load, "CWE-829", k_atlas, "CFG-017",
     "the model brings the Python environment that it is run in"},
}};
const Rule& k_python = k_rules[0];
const Rule& k_backend = k_rules[1];
const Rule& k_path = k_rules[2];
const Rule& k_environment = k_rules[3];

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// What the server brings along.
bool is_own_backend(std::string_view name) {
  return is_one_of(name, {"tensorrt",
                          "tensorrt_plan",
                          "onnxruntime",
                          "onnxruntime_onnx",
                          "tensorflow",
                          "tensorflow_savedmodel",
                          "tensorflow_graphdef",
                          "pytorch",
                          "pytorch_libtorch",
                          "openvino",
                          "dali",
                          "vllm",
                          "tensorrtllm",
                          "fil",
                          "ensemble",
                          "identity",
                          "repeat",
                          "square",
                          "caffe2_netdef",
                          "minimal",
                          "redis",
                          "mlflow"});
}

bool is_field(std::string_view name) {
  return is_one_of(name, {"name",
                          "platform",
                          "backend",
                          "version_policy",
                          "max_batch_size",
                          "input",
                          "output",
                          "batch_input",
                          "batch_output",
                          "optimization",
                          "dynamic_batching",
                          "sequence_batching",
                          "ensemble_scheduling",
                          "instance_group",
                          "default_model_filename",
                          "cc_model_filenames",
                          "metric_tags",
                          "parameters",
                          "model_warmup",
                          "model_operations",
                          "model_transaction_policy",
                          "model_repository_agents",
                          "response_cache",
                          "runtime",
                          "model_metrics"});
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : session_(session), reader_(source, 0, source.wait_end(), 65536) {}
  Reading run();

private:
  void value(const std::string& path);
  void file(const std::string& name, std::uint64_t offset, bool native);

  Session& session_;
  TextProtoReader reader_;
  bool typical_ = false;
  std::string backend_;
  std::uint64_t backend_at_ = 0;
  std::string model_ = "model.py";
  std::string parameter_;
  struct File {
    std::string name;
    std::uint64_t offset;
    bool native;
  };
  std::vector<File> files_;
  std::vector<File> environments_;
};

void Scan::value(const std::string& path) {
  const std::string& text = reader_.text();
  if (path == "backend" || path == "platform") {
    if (path == "backend" || backend_.empty()) {
      backend_ = text;
      backend_at_ = reader_.offset();
    }
    typical_ = true;
  } else if (path == "default_model_filename") {
    model_ = text;
    files_.push_back({text, reader_.offset(), false});
  } else if (path == "runtime" || path == "model_operations.op_library_filename") {
    if (!is_one_of(text, {"python", ""})) files_.push_back({text, reader_.offset(), true});
  } else if (path == "cc_model_filenames.value") {
    files_.push_back({text, reader_.offset(), false});
  } else if (path == "parameters.key") {
    parameter_ = text;
  } else if (path == "parameters.value.string_value" && parameter_ == "EXECUTION_ENV_PATH") {
    environments_.push_back({text, reader_.offset(), false});
  }
}

void Scan::file(const std::string& name, std::uint64_t offset, bool native) {
  if (kind_of(name) != PathKind::relative || name.find("..") != std::string::npos)
    session_.find(k_path, offset, name.size(), name, {.condition = k_names});
  else if (native && (name.find(".so") != std::string::npos || name.ends_with(".dll")))
    session_.find(k_backend, offset, name.size(), name, {.condition = k_names});
}

Reading Scan::run() {
  std::vector<std::string> open;
  for (;;) {
    const TextProtoEvent event = reader_.next();
    if (event == TextProtoEvent::error) return Reading::none;
    if (event == TextProtoEvent::end) break;
    if (event == TextProtoEvent::message_end) {
      if (!open.empty()) open.pop_back();
      continue;
    }
    if (open.empty() && !is_field(reader_.name())) return Reading::none;
    if (open.empty() && is_one_of(reader_.name(), {"max_batch_size", "instance_group",
                                                   "ensemble_scheduling", "dynamic_batching"}))
      typical_ = true;
    std::string path = open.empty() ? reader_.name() : open.back() + "." + reader_.name();
    if (event == TextProtoEvent::message_begin)
      open.push_back(path.size() < 4096 ? std::move(path) : std::string("…"));
    else
      value(path);
  }
  if (!typical_) return Reading::none;
  for (const auto& [name, offset, native]: files_)
    file(name, offset, native);
  for (const auto& [name, offset, native]: environments_) {
    // $$TRITON_MODEL_DIRECTORY is the model's own folder.
    session_.find(k_environment, offset, name.size(), name, {.condition = k_names});
    if (!name.starts_with("$$TRITON_MODEL_DIRECTORY"))
      file(name, offset, false);
    else if (name.find("..") != std::string::npos)
      session_.find(k_path, offset, name.size(), name, {.condition = k_names});
  }
  if (backend_ == "python") {
    session_.find(k_python, backend_at_, 0, model_, {.condition = k_names});
    session_.refer("code", backend_at_, "1/" + model_, k_names);
  } else if (!backend_.empty() && !is_own_backend(backend_)) {
    session_.find(k_backend, backend_at_, 0, "the backend " + backend_, {.condition = k_names});
  }
  return Reading::valid;
}

// Text whose first word is one of the fields.
Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  std::size_t at = head.starts_with("\xef\xbb\xbf") ? 3 : 0;
  while (at < head.size() && (head[at] == '#' || head[at] == ' ' || head[at] == '\n' ||
                              head[at] == '\r' || head[at] == '\t'))
    at = head[at] == '#' ? std::min(head.find('\n', at), head.size()) : at + 1;
  std::size_t end = at;
  while (end < head.size() && (head[end] == '_' || (head[end] >= 'a' && head[end] <= 'z')))
    ++end;
  return is_field(head.substr(at, end - at)) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

// A refinement of text: YAML and others read the same bytes.
extern const Format format_triton;
const Format format_triton{
    .name = "triton", .family = "text", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
