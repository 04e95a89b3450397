// Any bytes as a pickle: no crash, what claims to be a pickle and breaks is never complete, and the
// fast path (run_usual) does what the traced one does.
#include "scanner/core/session.hpp"
#include "scanner/formats/pickle/machine.hpp"

#include <array>
#include <cstdlib>

namespace hubgate {
extern const Format format_pickle;
}

namespace {

using namespace hubgate;

class Deaf final : public pickle::Tracer {
public:
  void on_opcode(std::uint8_t, std::uint64_t) override {}
};

Reading run_both(Source& source, Session& session) {
  pickle::Options options;
  options.reports = pickle::Options::Reports::none;
  pickle::Machine fast(source, session, options, nullptr);
  pickle::Machine traced(source, session, options, nullptr);
  Deaf deaf;
  traced.set_tracer(&deaf);
  const auto one = fast.run(0);
  const auto two = traced.run(0);
  constexpr std::size_t k_rendered = 500;
  if (one.how != two.how || one.end != two.end || one.why != two.why ||
      fast.calls() != traced.calls() || fast.did_harm() != traced.did_harm() ||
      fast.render(fast.result(), k_rendered) != traced.render(traced.result(), k_rendered))
    std::abort();
  return Reading::none;
}

constexpr Format k_both{.name = "both",
                        .family = "both",
                        .probe = [](const Probe&) { return Claim::maybe; },
                        .scan = run_both,
                        .rules = {}};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr std::array<const hubgate::Format*, 2> k_table{&hubgate::format_pickle, &k_both};
  hubgate::MemorySource source({data, size});
  hubgate::Limits limits;
  limits.cpu_seconds = 10;
  limits.findings = 100;
  const hubgate::Report report = hubgate::scan_object(k_table, source, limits, nullptr);
  for (const auto& gap: report.gaps)
    if (gap.reason == hubgate::Reason::crash) std::abort();
  return 0;
}
