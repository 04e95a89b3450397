#pragma once
// Values of datasets: the cells of a column, the records of a key-value store. Millions of them,
// and nearly all are what they seem; but whoever reads the dataset unpickles or unpacks the ones
// that are not. A look at the first bytes tells which values are worth a scan of their own.
#include "scanner/core/session.hpp"

#include <optional>
#include <string>

namespace hubgate {

inline constexpr Rule k_rule_value_pickle{
    "dataset-pickled-values",
    "pickle",
    Severity::informational,
    Reach::data,
    "CWE-502",
    "AML.T0010.002",
    "DAT-006 DAT-015",
    "values of the dataset are pickles, which whoever reads them has to unpickle"};
inline constexpr Rule k_rule_value_executable{"dataset-executable-value",
                                              "executable",
                                              Severity::malicious,
                                              Reach::data,
                                              "CWE-506",
                                              "AML.T0010.002",
                                              "DAT-006 POL-005",
                                              "a value of the dataset is a native executable"};
inline constexpr Rule k_rule_row_instructions{
    "dataset-row-instructions",
    "deception",
    Severity::informational,
    Reach::data,
    "CWE-1427",
    "AML.T0051.001",
    "DAT-017",
    "a row tells a language model to forget what it was told"};
inline constexpr Rule k_rule_row_hidden_text{
    "dataset-row-hidden-text",
    "deception",
    Severity::informational,
    Reach::data,
    "CWE-1007",
    "AML.T0051.001",
    "DAT-017",
    "a row holds text in characters that nobody sees and models read"};

/// Where `text` tells a reader to forget its instructions, if it does.
std::optional<std::size_t> find_override(std::string_view text);

/// Looks at the values of one dataset. One for each scan; remembers what it has told.
class ValueJudge {
public:
  explicit ValueJudge(Session& session) : session_(session) {}

  /// One value: pickles (also in base64), executables, archives and arrays of objects in it are
  /// scanned as embedded objects named `name`. `offset` is where it lies in the stream.
  void look(Bytes value, std::string_view name, std::uint64_t offset);
  /// The same for bytes [begin, begin + length) of `source`, however many.
  void look(Source& source, std::uint64_t begin, std::uint64_t length, std::string_view name,
            std::uint64_t offset);

  /// A stretch of text cells: instructions to models and hidden text, told once each.
  void look_text(Bytes text, std::string_view name, std::uint64_t offset);

private:
  enum class Guess { nothing, pickle, base64, executable, packed };
  static Guess guess(Bytes head);
  void judge(Guess guess, Source& value, std::uint64_t size, std::string_view name,
             std::uint64_t offset);
  void pickle(Source& value, std::uint64_t size, std::string_view name, std::uint64_t offset);
  void base64(Source& value, std::string_view name, std::uint64_t offset);
  void packed(Source& value, std::string_view name, std::uint64_t offset);

  Session& session_;
  bool told_pickle_ = false;
  bool told_instructions_ = false;
  bool told_hidden_ = false;
};

} // namespace hubgate
