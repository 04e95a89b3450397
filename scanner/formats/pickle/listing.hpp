#pragma once
// What a pickle shows to who asks (Session::showing): its opcodes as pickletools.dis() prints them,
// and the calls that the machine saw as a program in Python. Internal to the pickle folder.
#include "scanner/core/session.hpp"
#include "scanner/formats/pickle/value.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace hubgate::pickle {

class Machine;

/// Bytes between the opcodes that are none: arrays that joblib writes there.
struct Skipped {
  std::uint64_t from = 0;
  std::uint64_t upto = 0;
};

/// Shows the opcodes of [begin, end) with what marks and the memo say; `broken` is why the pickle
/// ends there without STOP, "" if it does not.
void disassemble(Source& source, Session& session, std::uint64_t begin, std::uint64_t end,
                 const std::vector<Skipped>& skipped, std::string_view broken);

/// The text of a Python literal for `text`: of a str, which is UTF-8, or of bytes.
std::string python_literal(std::string_view text, bool bytes);

/// Writes the program line by line while the machine runs. Every object that a call made is a
/// variable.
class Program {
public:
  Program(const Machine& machine, Session& session) : machine_(machine), session_(session) {}

  /// A name is imported for the first time. `index` is that of the name's words.
  void on_import(std::uint32_t index, const std::string& module, const std::string& name,
                 std::uint64_t offset);
  /// `object` is what the call returned. `makes`: it goes to the class's __new__.
  void on_call(Word object, Word kwargs, bool makes, std::uint64_t offset);
  void on_build(Word object, Word state, std::uint64_t offset);
  /// Items are put into an object: pairs if `mapping`.
  void on_items(Word object, const Word* items, std::size_t n, bool mapping, std::uint64_t offset);
  void on_stop(Word result, std::uint64_t offset);
  void skip(std::uint64_t from, std::uint64_t upto) { skipped_.push_back({from, upto}); }

  const std::vector<Skipped>& skipped() const { return skipped_; }

private:
  std::string text(Word word) const;
  void append(std::string& out, Word word, unsigned depth) const;
  void append_items(std::string& out, Word word, std::size_t from, unsigned depth) const;

  const Machine& machine_;
  Session& session_;
  std::map<std::uint64_t, std::uint32_t> variables_; ///< by heap position
  std::map<std::uint32_t, std::string> names_;       ///< by index: what the program calls it
  std::map<std::string, std::string> imports_;       ///< import statement to alias
  std::set<std::string> taken_;                      ///< aliases
  std::vector<Skipped> skipped_;
};

} // namespace hubgate::pickle
