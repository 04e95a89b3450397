#pragma once
// What an ONNX model says, whatever it is written in: ModelProto (onnx.proto) and ONNX Runtime's
// own flatbuffer (ort.fbs) are both turned into these facts, and one judge looks at them.
#include "scanner/core/session.hpp"
#include "scanner/formats/onnx/flow.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace hubgate::onnx {

/// TensorProto.DataType: bits of one element; 0 = of no fixed size or unknown.
unsigned bits_of(std::int64_t type);
inline constexpr std::int64_t k_type_string = 8;
inline constexpr std::int64_t k_last_type = 26;

/// A tensor with its bytes left where they are.
struct Tensor {
  std::string name;
  std::uint64_t offset = 0;
  std::int64_t type = 0;
  std::vector<std::int64_t> dims;
  std::optional<std::uint64_t> raw_bytes; ///< of raw_data
  std::uint64_t raw_begin = 0;
  std::uint64_t typed_elements = 0; ///< of float_data and its kin, as far as they can be counted
  std::uint64_t typed_fields = 0;   ///< how many of these are set
  bool typed_uncounted = false;     ///< too long to be counted
  bool external = false;            ///< data_location says so
  std::vector<std::pair<std::string, std::string>> external_data;
  std::vector<std::int64_t> values; ///< of a small int64 tensor

  /// Product of dims; nothing when a dimension is negative or the product is beyond sense.
  std::optional<std::uint64_t> elements() const;
};

struct Attribute {
  std::string name;
  std::uint64_t offset = 0;
  std::int64_t i = 0;
  bool has_i = false;
  std::string s; ///< its first bytes
  std::uint64_t s_begin = 0;
  std::uint64_t s_size = 0;
};

struct Node {
  std::string name;
  std::string op;
  std::string domain;
  std::string overload;
  std::uint64_t offset = 0;
  std::vector<Attribute> attributes; ///< those that the judge asks for by name
};

/// Bytes of a string attribute that are kept; more of it is scanned where it lies.
inline constexpr std::size_t k_max_text = std::size_t{1} << 20;

class Judge {
public:
  Judge(Source& source, Session& session) : source_(source), session_(session) {}

  void tensor(const Tensor& tensor);
  void node(const Node& node);
  /// A text of the model: metadata, documentation, a string attribute, an element of a string
  /// tensor. `element`: one of many, looked at only when it is long or begins like a container.
  void text(const std::string& name, std::string_view value, std::uint64_t offset, bool element);
  /// The same for one that is too long to be held.
  void long_text(const std::string& name, std::uint64_t begin, std::uint64_t size);
  void function(const std::string& domain, const std::string& name);
  /// Contradictions of the encoding itself.
  void structure(std::uint64_t offset, const std::string& evidence, bool informational = false);
  /// After everything: what shows only across the model.
  void finish(Flow& flow);

private:
  struct Extent {
    std::uint64_t begin;
    std::uint64_t size;
    std::string name;
  };
  struct Custom {
    std::string domain;
    std::string op;
    std::uint64_t offset;
  };
  void tell(const Rule& rule, std::uint64_t offset, const std::string& evidence,
            const FindOptions& options = {});
  void external(const Tensor& tensor);
  void outside_path(std::string_view what, const std::string& path, std::uint64_t offset);
  void context(const Node& node);

  Source& source_;
  Session& session_;
  std::map<std::string_view, std::size_t> told_; ///< by rule id
  std::map<std::string, std::vector<Extent>> extents_;
  std::size_t extent_count_ = 0;
  std::uint64_t described_ = 0; ///< files: what tells one such reference from the next
  std::set<std::pair<std::string, std::string>> functions_;
  std::map<std::pair<std::string, std::string>, Custom> custom_;
  std::unordered_set<std::size_t> texts_; ///< hashes of what was looked at
};

std::span<const Rule> rules();

} // namespace hubgate::onnx
