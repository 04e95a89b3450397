// The test file of virus scanners (https://www.eicar.org/download-anti-malware-testfile/): harmless
// by itself, and refused by every gate worth its name.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::array<Rule, 1> k_rules{{
    {"eicar-test-file", "executable", Severity::malicious, Reach::data, "CWE-506", "AML.T0010.003",
     "POL-014", "the harmless test file that every virus scanner reports"},
}};

// In two parts, or this program would be reported itself.
std::string signature() {
  return std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$") + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
}

Claim probe(const Probe& probe) {
  return holds(as_text(probe.head), "EICAR-STANDARD") ? Claim::maybe : Claim::no;
}

// The definition allows blanks behind the signature only; scanners also report it inside other
// text.
Reading scan(Source& source, Session& session) {
  const std::string wanted = signature();
  const std::string_view head = as_text(source.view(0, Probe::k_head));
  const std::size_t at = head.find(wanted);
  if (at == std::string_view::npos) return Reading::none;
  session.find(k_rules[0], at, wanted.size(), "the EICAR test file");
  return Reading::valid;
}

} // namespace

extern const Format format_eicar;
const Format format_eicar{.name = "eicar",
                          .family = "text",
                          .probe = probe,
                          .scan = scan,
                          .rules = k_rules,
                          .weak = true};

} // namespace hubgate
