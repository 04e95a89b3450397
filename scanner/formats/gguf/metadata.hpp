#pragma once
// What the key-values of a GGUF say of each other: chat templates, the tokenizer's tables and ids,
// the set of files that a split model is. llama.cpp's llama-vocab.cpp and llama-model-loader.cpp
// index by these numbers.
#include "scanner/core/session.hpp"

#include <map>
#include <string>
#include <vector>

namespace hubgate::gguf {

inline constexpr Rule k_rule_tokenizer{
    "gguf-tokenizer",
    "structure",
    Severity::suspicious,
    Reach::load,
    "CWE-125",
    "AML.T0029",
    "GGF-009",
    "the tokenizer's tables contradict each other, and readers index one by the other"};
inline constexpr Rule k_rule_split{"gguf-split",
                                   "structure",
                                   Severity::suspicious,
                                   Reach::load,
                                   "CWE-436",
                                   "AML.T0076",
                                   "GGF-014",
                                   "the file says that it is a part of a set that can't be"};
class Metadata {
public:
  explicit Metadata(Session& session) : session_(session) {}

  /// A string value. True: it is a template and was judged as one.
  bool text(const std::string& key, std::string_view value, std::uint64_t offset);
  /// An array begins; then its elements, when they are short strings or wants_numbers().
  void array(const std::string& key, std::uint64_t length);
  bool wants_numbers(std::string_view key) const;
  void element(const std::string& key, std::string_view value, std::uint64_t offset);
  void element(const std::string& key, std::uint32_t value, std::uint64_t offset);
  /// A scalar: its bits as they stand, zero-extended. Returns what is wrong with it, or "".
  std::string number(const std::string& key, std::uint32_t type, std::uint64_t value);

  /// After the last key: what they say of each other. `tensors`: of this file.
  void judge(std::uint64_t tensors);

private:
  Session& session_;
  std::map<std::string, std::uint64_t, std::less<>> numbers_; ///< of keys that judge() asks for
  std::map<std::string, std::uint64_t, std::less<>> lengths_;
  std::uint64_t bad_merges_ = 0;
  std::uint64_t first_bad_ = 0;
  std::uint64_t bad_types_ = 0;
  std::uint64_t first_bad_type_ = 0;
};

} // namespace hubgate::gguf
