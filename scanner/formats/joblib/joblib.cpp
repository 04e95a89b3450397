// joblib: a pickle with raw arrays between its opcodes, and its older forms
// (joblib/numpy_pickle.py, numpy_pickle_compat.py). The pickle machine steps over the arrays; here
// what they say is held against what numpy would make of it. See README.md.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/pickle/pickle.hpp"

#include <array>

namespace hubgate {
namespace {

using pickle::Kind;
using pickle::View;

constexpr std::string_view k_zf_prefix = "ZF";
constexpr std::size_t k_zf_length = 19; ///< len(hex(2 ** 64))
constexpr std::size_t k_told = 5;

constexpr std::array<Rule, 5> k_rules{{
    {"joblib-companion-file", "reference", Severity::suspicious, Reach::load, "CWE-610",
     "AML.T0011.000", "JNP-004", "the pickle has the loader open another file with numpy.load"},
    {"joblib-companion-path", "traversal", Severity::malicious, Reach::load, "CWE-22",
     "AML.T0011.000", "JNP-004", "the pickle has the loader open a file outside of its folder"},
    {"joblib-object-array", "pickle", Severity::informational, Reach::load, "CWE-502",
     "AML.T0011.000", "JNP-006", "an array of objects is stored as a pickle inside the pickle"},
    {"joblib-memmap", "reference", Severity::suspicious, Reach::load, "CWE-22", "AML.T0010.003",
     "JNP-007", "an array names a file that the loader would map into memory"},
    {"joblib-zf", "structure", Severity::informational, Reach::data, "", "AML.T0076", "JNP-005",
     "compressed as joblib did before 0.10"},
}};

const Rule& k_companion = k_rules[0];
const Rule& k_companion_path = k_rules[1];
const Rule& k_object = k_rules[2];
const Rule& k_memmap = k_rules[3];
const Rule& k_zf = k_rules[4];

bool is_zf(Bytes head) {
  if (!starts_with(head, k_zf_prefix) || head.size() < k_zf_prefix.size() + k_zf_length)
    return false;
  return starts_with(head.subspan(2), "0x");
}

Claim probe(const Probe& probe) {
  if (is_zf(probe.head)) return Claim::yes;
  const std::string_view head = as_text(probe.head);
  // The wrapper's name stands before the first array; what has none is a pickle like any other.
  return holds(head, "numpy_pickle") ? Claim::yes : Claim::no;
}

bool is_sibling(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of("/\\:") == std::string_view::npos && name[0] != '~';
}

class Wrappers : public pickle::Observer {
public:
  explicit Wrappers(Session& session) : session_(session) {}

  std::optional<pickle::Inline> on_build(const View& object, std::uint64_t next) override {
    const std::string name = object.name();
    if (name == "joblib.numpy_pickle.NumpyArrayWrapper") {
      ++arrays_;
      array(object, next);
    } else if (name.starts_with("joblib.") && name.ends_with("NDArrayWrapper")) {
      ++arrays_;
      companion(object, next);
    }
    return std::nullopt;
  }
  std::uint64_t arrays() const { return arrays_; }

private:
  void array(const View& object, std::uint64_t next) {
    const View dtype = object.get("dtype");
    // numpy.dtype('O8', False, True): an object's arguments begin with the type string.
    const auto type = dtype.args().item(0).text();
    if (type && !type->empty() && (*type)[0] == 'O' && objects_++ < k_told)
      session_.find(k_object, next, 0, object.render());
    for (const std::string_view field: {"filename", "temp_folder", "context_id", "mmap_filename"}) {
      const View value = object.get(field);
      if (value.kind() == Kind::text || value.kind() == Kind::bytes)
        session_.find(k_memmap, next, 0, std::string(field) + " = " + value.render());
    }
  }

  // NDArrayWrapper(filename, subclass) is replaced by numpy.load(filename); ZNDArrayWrapper by the
  // zlib stream in it.
  void companion(const View& object, std::uint64_t next) {
    const auto name = object.get("filename").text();
    if (!name)
      session_.find(k_companion, next, 0, object.render());
    else if (is_sibling(*name))
      session_.find(k_companion, next, 0, "numpy.load(" + *name + ")");
    else
      session_.find(k_companion_path, next, 0, "numpy.load(" + *name + ")");
  }

  Session& session_;
  std::uint64_t arrays_ = 0;
  std::size_t objects_ = 0;
};

// "ZF", the decoded length in hexadecimal padded with blanks, a zlib stream; one more blank before
// it in files of Python 2.
Reading scan_zf(Source& source, Session& session) {
  std::uint64_t begin = k_zf_prefix.size() + k_zf_length;
  if (starts_with(source.view(begin, 1), " ")) ++begin;
  auto decoder = decode_zlib(source, begin);
  if (!decodes(*decoder)) {
    // The prefix is two letters: with nothing behind it this is no file of joblib.
    return Reading::none;
  }
  session.find(k_zf, 0, begin, as_text(source.view(0, k_zf_prefix.size() + k_zf_length)));
  auto again = decode_zlib(source, begin);
  const StreamDecoder& state = *again;
  DecodedSource content(std::move(again), session.budget());
  session.member("zlib", content);
  content.wait_end();
  if (content.fault() != Fault::none) return Reading::broken;
  session.ends_at(state.position());
  return Reading::valid;
}

Reading scan(Source& source, Session& session) {
  if (is_zf(source.view(0, 32))) return scan_zf(source, session);
  Wrappers wrappers(session);
  const auto result = pickle::scan_pickle(source, session, 0,
                                          {.reports = pickle::Options::Reports::none}, &wrappers);
  if (result.state == pickle::Result::State::none || wrappers.arrays() == 0) return Reading::none;
  session.ends_at(result.end);
  return Reading::valid;
}

} // namespace

extern const Format format_joblib;
const Format format_joblib{"joblib", "pickle", probe, scan, k_rules};

} // namespace hubgate
