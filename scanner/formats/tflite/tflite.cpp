// TFLite: a flatbuffer with the identifier TFL3 (tensorflow/compiler/mlir/lite/schema/schema.fbs).
// See README.md.
#include "scanner/core/flatbuffer.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/tensorflow/embedded.hpp"
#include "scanner/formats/tensorflow/ops.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

namespace hubgate {
namespace {

constexpr std::string_view k_atlas = "AML.T0011.000";
constexpr std::size_t k_max_name = 4096;
constexpr std::size_t k_max_options = std::size_t{1} << 20;
constexpr std::uint64_t k_examined = 64; ///< shorter values hold no file

constexpr std::array<Rule, 6> k_rules{{
    {"tflite-custom-op", "unknown-call", Severity::suspicious, Reach::load, "CWE-829", k_atlas,
     "TFX-013", "an operator that is not TFLite's own: code that must come from somewhere runs it"},
    {"tflite-flex-op", "code", Severity::informational, Reach::load, "", k_atlas, "TFX-013",
     "an operator of TensorFlow itself, run by the Flex delegate"},
    {"tflite-bounds", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "TFX-014", "an offset leads out of the file, which has broken readers before"},
    {"tflite-index", "structure", Severity::suspicious, Reach::load, "CWE-129", "AML.T0029",
     "TFX-014", "an index names a tensor, buffer, operator or subgraph that does not exist"},
    {"tflite-extent", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "TFX-014", "a constant's bytes are fewer than its shape needs, or lie outside of the file"},
    {"tflite-trigger", "backdoor", Severity::suspicious, Reach::load, "CWE-506", "AML.T0018.001",
     "TFX-016",
     "the model's output is a comparison's choice between what it computed and a constant"},
}};
const Rule& k_custom = k_rules[0];
const Rule& k_flex = k_rules[1];
const Rule& k_bounds = k_rules[2];
const Rule& k_index = k_rules[3];
const Rule& k_extent = k_rules[4];
const Rule& k_trigger = k_rules[5];

// enum BuiltinOperator.
enum Op : std::int32_t {
  k_op_custom = 32,
  k_op_select = 64,
  k_op_if = 118,
  k_op_while = 119,
  k_op_select_v2 = 123,
  k_op_call_once = 129,
  k_op_stablehlo_custom_call = 173,
};

// enum TensorType: bits of an element; 0 for strings and handles.
constexpr std::array<std::uint8_t, 21> k_bits{32,  16, 32, 8, 64, 0,  8, 16, 64, 8, 64,
                                              128, 64, 0,  0, 32, 16, 4, 16, 2,  4};
constexpr std::int8_t k_type_string = 5;

// Custom operators that usual converters write and usual runtimes bring along.
bool is_usual(std::string_view name) {
  constexpr std::array<std::string_view, 34> k_usual{"TFLite_Detection_PostProcess",
                                                     "Convolution2DTransposeBias",
                                                     "MaxPoolingWithArgmax2D",
                                                     "MaxUnpooling2D",
                                                     "AudioSpectrogram",
                                                     "Mfcc",
                                                     "RandomUniform",
                                                     "RandomStandardNormal",
                                                     "Multinomial",
                                                     "ReadVariable",
                                                     "AssignVariable",
                                                     "VarHandle",
                                                     "HashTable",
                                                     "HashTableFind",
                                                     "HashTableImport",
                                                     "HashTableSize",
                                                     "HashTableLookup",
                                                     "TransformTensor",
                                                     "TransformTensorBilinear",
                                                     "TransformLandmarks",
                                                     "Landmarks2TransformMatrix",
                                                     "TransformTensorBilinearV2",
                                                     "edgetpu-custom-op",
                                                     "ethos-u",
                                                     "NumericVerify",
                                                     "Roll",
                                                     "RFFT2D",
                                                     "UnidirectionalSequenceLSTM",
                                                     "CumSum",
                                                     "Irfft2d",
                                                     "Bucketize",
                                                     "Normalize",
                                                     "Predict",
                                                     "ExtractFeatures"};
  if (std::find(k_usual.begin(), k_usual.end(), name) != k_usual.end()) return true;
  return name.starts_with("tftext:") || name.starts_with("odml.") || name.starts_with("aeq.") ||
         name.starts_with("TFSentencepiece") || name.starts_with("QNN_") ||
         name.starts_with("tfsentencepiece");
}

struct Code {
  std::int32_t builtin = 0;
  std::string custom;
};

struct Buffer {
  std::uint64_t at = 0; ///< in the source
  std::uint64_t size = 0;
  bool used = false;
};

struct Tensor {
  std::uint32_t buffer = 0;
  std::int8_t type = 0;
  std::uint64_t elements = 0;
};

class Scan {
public:
  Scan(Source& source, Session& session, std::uint64_t size)
      : source_(source), session_(session), size_(size), flat_(source, 0, size) {}
  Reading run();

private:
  void codes(const FlatTable& model);
  void buffers(const FlatTable& model);
  void metadata(const FlatTable& model);
  void signatures(const FlatTable& model);
  void subgraph(const FlatTable& graph, std::uint32_t count);
  Tensor tensor(const FlatTable& table);
  void quantization(const FlatTable& tensor, const FlatVector& shape);
  void op(const FlatTable& table, std::uint32_t graphs);
  void custom(const FlatTable& table, const std::string& name);
  void flex(const std::string& op, const std::string& options, const FlatTable& table);
  void branches(const FlatTable& table, std::int32_t code, std::uint32_t graphs);
  void trigger(const FlatTable& graph, const FlatVector& operators);
  void indices(const FlatTable& table, std::uint16_t id, std::string_view what);
  std::string constant_string(std::int32_t tensor);
  void wrong(const Rule& rule, std::string_view key, std::string_view evidence);
  void examine(std::string_view name, std::uint64_t at, std::uint64_t size);
  bool ends_as_zip();
  bool spent();

  Source& source_;
  Session& session_;
  std::uint64_t size_;
  Flatbuffer flat_;
  std::vector<Code> codes_;
  std::vector<Buffer> buffers_;
  std::vector<Tensor> tensors_; ///< of the subgraph that is being read
  std::set<std::string, std::less<>> said_;
  std::uint64_t steps_ = 0;
  bool out_of_time_ = false;
};

bool Scan::spent() {
  if (++steps_ % 4096 == 0 && !session_.budget().time_left()) out_of_time_ = true;
  return out_of_time_ || flat_.failure() == FlatFailure::limit;
}

// Each kind of mistake is told a few times, not once a tensor.
void Scan::wrong(const Rule& rule, std::string_view key, std::string_view evidence) {
  if (said_.insert(std::string(key)).second) session_.find(rule, 0, 0, evidence);
}

void Scan::examine(std::string_view name, std::uint64_t at, std::uint64_t size) {
  if (size < k_examined || at > size_ || size > size_ - at) return;
  SubSource value(source_, at, size);
  session_.embedded(name, value);
}

// OperatorCode: 0 deprecated_builtin_code, 1 custom_code, 3 builtin_code.
void Scan::codes(const FlatTable& model) {
  const auto list = flat_.vector(model, 1, 4);
  if (!list) return;
  for (std::uint32_t i = 0; i < list->count && !spent(); ++i) {
    Code code;
    if (const auto table = flat_.table_at(*list, i)) {
      code.builtin = std::max<std::int32_t>(flat_.number<std::int8_t>(*table, 0, 0),
                                            flat_.number<std::int32_t>(*table, 3, 0));
      code.custom = flat_.string(*table, 1, k_max_name).value_or("");
    }
    codes_.push_back(std::move(code));
  }
}

// Buffer: 0 data, 1 offset, 2 size (both behind the flatbuffer, for models beyond 2 GB).
void Scan::buffers(const FlatTable& model) {
  const auto list = flat_.vector(model, 4, 4);
  if (!list) return;
  for (std::uint32_t i = 0; i < list->count && !spent(); ++i) {
    Buffer buffer;
    if (const auto table = flat_.table_at(*list, i)) {
      if (const auto data = flat_.vector(*table, 0, 1)) buffer = {data->at, data->count};
      const auto offset = flat_.number<std::uint64_t>(*table, 1, 0);
      const auto size = flat_.number<std::uint64_t>(*table, 2, 0);
      if (offset > 1 && size > 0) {
        if (offset > size_ || size > size_ - offset)
          wrong(k_extent, "external" + std::to_string(i % 8),
                "buffer " + std::to_string(i) + " lies at " + std::to_string(offset) + ", " +
                    std::to_string(size) + " bytes, outside of the file");
        else
          buffer = {offset, size};
      }
    }
    buffers_.push_back(buffer);
  }
}

// Metadata: 0 name, 1 buffer.
void Scan::metadata(const FlatTable& model) {
  const auto list = flat_.vector(model, 6, 4);
  for (std::uint32_t i = 0; list && i < list->count && !spent(); ++i) {
    const auto table = flat_.table_at(*list, i);
    if (!table) continue;
    const std::string name = flat_.string(*table, 0, k_max_name).value_or("");
    const auto buffer = flat_.number<std::uint32_t>(*table, 1, 0);
    if (buffer >= buffers_.size()) {
      wrong(k_index, "metadata", "metadata " + name + " names buffer " + std::to_string(buffer));
      continue;
    }
    buffers_[buffer].used = true;
    examine("metadata " + name, buffers_[buffer].at, buffers_[buffer].size);
  }
}

// SignatureDef: 0 inputs, 1 outputs (TensorMap: 0 name, 1 tensor_index), 2 signature_key,
// 4 subgraph_index.
void Scan::signatures(const FlatTable& model) {
  const auto list = flat_.vector(model, 7, 4);
  const auto graphs = flat_.vector(model, 2, 4);
  for (std::uint32_t i = 0; list && i < list->count && !spent(); ++i) {
    const auto table = flat_.table_at(*list, i);
    if (!table) continue;
    flat_.string(*table, 2, k_max_name);
    const auto graph = flat_.number<std::uint32_t>(*table, 4, 0);
    if (!graphs || graph >= graphs->count) {
      wrong(k_index, "signature", "a signature names subgraph " + std::to_string(graph));
      continue;
    }
    const auto target = flat_.table_at(*graphs, graph);
    const auto tensors = target ? flat_.vector(*target, 0, 4) : std::nullopt;
    for (const std::uint16_t side: {std::uint16_t{0}, std::uint16_t{1}}) {
      const auto maps = flat_.vector(*table, side, 4);
      for (std::uint32_t m = 0; maps && m < maps->count && !spent(); ++m) {
        const auto map = flat_.table_at(*maps, m);
        if (!map) continue;
        flat_.string(*map, 0, k_max_name);
        const auto index = flat_.number<std::uint32_t>(*map, 1, 0);
        if (!tensors || index >= tensors->count)
          wrong(k_index, "signature tensor", "a signature names tensor " + std::to_string(index));
      }
    }
  }
}

// QuantizationParameters: 0 min, 1 max, 2 scale, 3 zero_point, 6 quantized_dimension.
void Scan::quantization(const FlatTable& tensor, const FlatVector& shape) {
  const auto table = flat_.table(tensor, 4);
  if (!table) return;
  flat_.vector(*table, 0, 4);
  flat_.vector(*table, 1, 4);
  const auto scale = flat_.vector(*table, 2, 4);
  const auto zero = flat_.vector(*table, 3, 8);
  const auto dimension = flat_.number<std::int32_t>(*table, 6, 0);
  if (!scale || scale->count <= 1 || flat_.has(*table, 5)) return;
  if (dimension < 0 || static_cast<std::uint32_t>(dimension) >= shape.count) {
    wrong(k_index, "quantized",
          "a tensor is quantized along dimension " + std::to_string(dimension) + " of " +
              std::to_string(shape.count));
    return;
  }
  const auto length =
      flat_.number_at<std::int32_t>(shape, static_cast<std::uint32_t>(dimension)).value_or(0);
  if (length > 0 && scale->count < static_cast<std::uint32_t>(length))
    wrong(k_index, "scales",
          "a tensor of " + std::to_string(length) + " channels has " +
              std::to_string(scale->count) + " scales");
  if (zero && zero->count > 1 && zero->count < scale->count)
    wrong(k_index, "zeros",
          "a tensor has " + std::to_string(scale->count) + " scales and " +
              std::to_string(zero->count) + " zero points");
}

// Tensor: 0 shape, 1 type, 2 buffer, 3 name, 4 quantization, 6 sparsity, 7 shape_signature.
Tensor Scan::tensor(const FlatTable& table) {
  Tensor out;
  out.type = flat_.number<std::int8_t>(table, 1, 0);
  out.buffer = flat_.number<std::uint32_t>(table, 2, 0);
  const std::string name = flat_.string(table, 3, 200).value_or("");
  const auto shape = flat_.vector(table, 0, 4);
  flat_.vector(table, 7, 4);
  out.elements = 1;
  for (std::uint32_t i = 0; shape && i < shape->count && !spent(); ++i) {
    const auto length = flat_.number_at<std::int32_t>(*shape, i).value_or(0);
    if (length < 0 ||
        __builtin_mul_overflow(out.elements, static_cast<std::uint64_t>(length), &out.elements)) {
      if (length < -1) wrong(k_extent, "negative", "tensor " + name + " has a negative dimension");
      out.elements = length < 0 ? 0 : ~std::uint64_t{0};
      break;
    }
  }
  if (out.buffer >= buffers_.size()) {
    // Writers of activations without any buffer say 0.
    if (out.buffer != 0)
      wrong(k_index, "buffer", "tensor " + name + " names buffer " + std::to_string(out.buffer));
    out.buffer = 0;
    return out;
  }
  Buffer& buffer = buffers_[out.buffer];
  buffer.used = true;
  if (shape) quantization(table, *shape);
  const auto type = static_cast<std::size_t>(static_cast<std::uint8_t>(out.type));
  if (type >= k_bits.size()) {
    wrong(k_index, "type", "tensor " + name + " has the type " + std::to_string(type));
    return out;
  }
  // Sparse tensors are stored shorter.
  if (buffer.size == 0 || k_bits[type] == 0 || flat_.has(table, 6)) return out;
  std::uint64_t bits = 0;
  if (__builtin_mul_overflow(out.elements, std::uint64_t{k_bits[type]}, &bits) ||
      bits / 8 > buffer.size)
    wrong(k_extent, "short" + std::to_string(out.buffer % 8),
          "tensor " + name + " needs " + std::to_string(bits / 8) + " bytes, its buffer has " +
              std::to_string(buffer.size));
  return out;
}

void Scan::indices(const FlatTable& table, std::uint16_t id, std::string_view what) {
  const auto list = flat_.vector(table, id, 4);
  for (std::uint32_t i = 0; list && i < list->count && !spent(); ++i) {
    const auto index = flat_.number_at<std::int32_t>(*list, i).value_or(0);
    if (index >= -1 && index < static_cast<std::int64_t>(tensors_.size())) continue;
    wrong(k_index, what,
          std::string(what) + " names tensor " + std::to_string(index) + " of " +
              std::to_string(tensors_.size()));
  }
}

// A string tensor is a count, offsets, and the characters.
std::string Scan::constant_string(std::int32_t tensor) {
  if (tensor < 0 || static_cast<std::size_t>(tensor) >= tensors_.size()) return {};
  const Tensor& here = tensors_[static_cast<std::size_t>(tensor)];
  if (here.type != k_type_string || here.buffer >= buffers_.size()) return {};
  const Buffer& buffer = buffers_[here.buffer];
  if (buffer.size < 12) return {};
  const Bytes bytes =
      source_.view(buffer.at, static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size, 8192)));
  Reader reader(bytes);
  const auto count = reader.le<std::uint32_t>();
  const auto begin = reader.le<std::uint32_t>();
  const auto end = reader.le<std::uint32_t>();
  if (!count || !begin || !end || *count == 0 || *end < *begin) return {};
  const auto text = reader.at(*begin, std::min<std::uint32_t>(*end - *begin, 4096));
  return text ? std::string(as_text(*text)) : std::string();
}

// The options are a flexbuffer [name, NodeDef]: the NodeDef is found by the operator that it must
// repeat.
void Scan::flex(const std::string& op, const std::string& options, const FlatTable& table) {
  std::string node = tensorflow::node_of("Flex", op);
  std::string needle = "\x12";
  needle += static_cast<char>(op.size());
  needle += op;
  if (const auto at = options.find(needle); op.size() < 128 && at != std::string::npos) {
    for (std::size_t start = at >= 130 ? at - 130 : 0; start + 2 <= at; ++start) {
      if (options[start] != '\x0a' ||
          start + 2 + static_cast<std::uint8_t>(options[start + 1]) != at)
        continue;
      node = options.substr(start);
      break;
    }
  }
  std::vector<std::string> inputs;
  const auto list = flat_.vector(table, 1, 4);
  for (std::uint32_t i = 0; list && i < list->count && i < 64; ++i)
    inputs.push_back(constant_string(flat_.number_at<std::int32_t>(*list, i).value_or(-1)));
  tensorflow::scan_graph(session_, tensorflow::graph_of(node, inputs));
  if (said_.insert("flex" + op).second) session_.find(k_flex, 0, 0, "Flex" + op);
}

// Operator: 5 custom_options, 9 large_custom_options_offset, 10 large_custom_options_size.
void Scan::custom(const FlatTable& table, const std::string& name) {
  const auto options = flat_.vector(table, 5, 1);
  const auto offset = flat_.number<std::uint64_t>(table, 9, 0);
  const auto large = flat_.number<std::uint64_t>(table, 10, 0);
  if (offset > 1 && (offset > size_ || large > size_ - offset))
    wrong(k_extent, "options", "the options of " + name + " lie outside of the file");
  else if (offset > 1)
    examine("options of " + name, offset, large);
  if (options) examine("options of " + name, options->at, options->count);
  if (name.starts_with("Flex")) {
    const std::string text = flat_.string(table, 5, k_max_options).value_or("");
    flex(name.substr(4), text, table);
    return;
  }
  if (said_.insert("custom" + name).second)
    session_.find(k_custom, 0, 0, "the operator " + name,
                  {.severity = is_usual(name) ? Severity::informational : Severity::suspicious});
}

// IfOptions and WhileOptions: two subgraphs; CallOnceOptions: one.
void Scan::branches(const FlatTable& table, std::int32_t code, std::uint32_t graphs) {
  const auto options = flat_.table(table, 4);
  if (!options) return;
  for (std::uint16_t id = 0; id < (code == k_op_call_once ? 1 : 2); ++id) {
    const auto graph = flat_.number<std::int32_t>(*options, id, 0);
    if (graph < 0 || static_cast<std::uint32_t>(graph) >= graphs)
      wrong(k_index, "branch", "a branch leads to subgraph " + std::to_string(graph));
  }
}

void Scan::op(const FlatTable& table, std::uint32_t graphs) {
  indices(table, 1, "an operator's input");
  indices(table, 2, "an operator's output");
  indices(table, 8, "an operator's intermediate");
  flat_.vector(table, 7, 1);
  const auto index = flat_.number<std::uint32_t>(table, 0, 0);
  if (index >= codes_.size()) {
    wrong(k_index, "opcode",
          "an operator has the code " + std::to_string(index) + " of " +
              std::to_string(codes_.size()));
    return;
  }
  const Code& code = codes_[index];
  if (code.builtin == k_op_custom) custom(table, code.custom);
  if (code.builtin == k_op_if || code.builtin == k_op_while || code.builtin == k_op_call_once)
    branches(table, code.builtin, graphs);
  if (code.builtin != k_op_stablehlo_custom_call) return;
  const auto options = flat_.table(table, 12);
  const std::string target = options ? flat_.string(*options, 0, 200).value_or("") : "";
  if (said_.insert("call" + target).second)
    session_.find(k_custom, 0, 0, "a custom call of " + target);
}

// The operator that makes an output chooses between two tensors, one of which is a constant vector.
void Scan::trigger(const FlatTable& graph, const FlatVector& operators) {
  const auto outputs = flat_.vector(graph, 2, 4);
  if (!outputs) return;
  for (std::uint32_t i = 0; i < operators.count && !spent(); ++i) {
    const auto table = flat_.table_at(operators, i);
    if (!table) continue;
    const auto index = flat_.number<std::uint32_t>(*table, 0, 0);
    if (index >= codes_.size()) continue;
    const std::int32_t code = codes_[index].builtin;
    if (code != k_op_select && code != k_op_select_v2) continue;
    const auto made = flat_.vector(*table, 2, 4);
    const auto read = flat_.vector(*table, 1, 4);
    const auto result = made ? flat_.number_at<std::int32_t>(*made, 0) : std::nullopt;
    if (!result || !read) continue;
    bool last = false;
    for (std::uint32_t o = 0; o < outputs->count && !spent(); ++o)
      last = last || flat_.number_at<std::int32_t>(*outputs, o) == *result;
    for (std::uint32_t r = 1; last && r < read->count && r < 3; ++r) {
      const auto picked = flat_.number_at<std::int32_t>(*read, r).value_or(-1);
      if (picked < 0 || static_cast<std::size_t>(picked) >= tensors_.size()) continue;
      const Tensor& tensor = tensors_[static_cast<std::size_t>(picked)];
      if (tensor.elements >= 2 && tensor.buffer < buffers_.size() &&
          buffers_[tensor.buffer].size > 0)
        wrong(k_trigger, "trigger",
              "SELECT makes an output from a result or the constant tensor " +
                  std::to_string(picked));
    }
  }
}

// SubGraph: 0 tensors, 1 inputs, 2 outputs, 3 operators, 4 name.
void Scan::subgraph(const FlatTable& graph, std::uint32_t count) {
  tensors_.clear();
  const auto list = flat_.vector(graph, 0, 4);
  for (std::uint32_t i = 0; list && i < list->count && !spent(); ++i) {
    const auto table = flat_.table_at(*list, i);
    tensors_.push_back(table ? tensor(*table) : Tensor{});
  }
  flat_.string(graph, 4, k_max_name);
  indices(graph, 1, "the graph's input");
  indices(graph, 2, "the graph's output");
  const auto operators = flat_.vector(graph, 3, 4);
  if (!operators) return;
  for (std::uint32_t i = 0; i < operators->count && !spent(); ++i)
    if (const auto table = flat_.table_at(*operators, i)) op(*table, count);
  trigger(graph, *operators);
}

bool Scan::ends_as_zip() {
  constexpr std::uint64_t k_record = 22 + 65535;
  const std::uint64_t begin = size_ - std::min(size_, k_record);
  return as_text(source_.view(begin, static_cast<std::size_t>(size_ - begin))).find("PK\x05\x06") !=
         std::string_view::npos;
}

// Model: 0 version, 1 operator_codes, 2 subgraphs, 3 description, 4 buffers, 5 metadata_buffer,
// 6 metadata, 7 signature_defs.
Reading Scan::run() {
  const auto model = flat_.root();
  if (model) {
    flat_.string(*model, 3, k_max_name);
    flat_.vector(*model, 5, 4);
    codes(*model);
    buffers(*model);
    metadata(*model);
    const auto graphs = flat_.vector(*model, 2, 4);
    for (std::uint32_t i = 0; graphs && i < graphs->count && !spent(); ++i)
      if (const auto graph = flat_.table_at(*graphs, i)) subgraph(*graph, graphs->count);
    signatures(*model);
  }
  std::uint64_t end = flat_.reached();
  for (std::size_t i = 0; i < buffers_.size() && !spent(); ++i) {
    const Buffer& buffer = buffers_[i];
    end = std::max(end, buffer.at + buffer.size);
    // What no tensor reads is no weight.
    if (!buffer.used) examine("buffer " + std::to_string(i), buffer.at, buffer.size);
  }
  switch (flat_.failure()) {
  case FlatFailure::none:
    break;
  case FlatFailure::ended:
    session_.gap(Reason::truncated, Reach::load, size_, "the bytes end inside the model");
    return Reading::broken;
  case FlatFailure::limit:
    session_.gap(Reason::budget, Reach::load, 0, "the model refers to itself, or is too large");
    return Reading::broken;
  case FlatFailure::bounds:
    session_.find(k_bounds, flat_.failed_at(), 0,
                  "an offset at " + std::to_string(flat_.failed_at()) + " leads out of its table");
    session_.gap(Reason::malformed, Reach::load, flat_.failed_at(), "the flatbuffer is broken");
    return Reading::broken;
  }
  if (out_of_time_) {
    session_.gap(Reason::budget, Reach::load, 0, "out of time");
    return Reading::broken;
  }
  // Packed files are a zip, which the zip format reads with offsets from the file's beginning;
  // anything else that follows is looked at here.
  if (end < size_ && size_ - end >= k_examined && !ends_as_zip()) {
    TailSource rest(source_, end);
    session_.embedded("behind the model", rest);
  }
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return probe.head.size() >= 8 && as_text(probe.head).substr(4, 4) == "TFL3" ? Claim::yes
                                                                              : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session, source.wait_end()).run();
}

} // namespace

// Of the family of zip: associated files are packed as a zip behind the model, which is no
// contradiction. Both are scanned.
extern const Format format_tflite;
const Format format_tflite{"tflite", "zip", probe, scan, k_rules, "2.21"};

} // namespace hubgate
