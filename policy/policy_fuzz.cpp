// Policy files and reports read back: both come from outside of the program, so both must take any
// bytes. What loads must decide without falling over; a report must survive its own round trip.
#include "policy/json.hpp"
#include "policy/policy.hpp"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hubgate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  Report report;
  boost::system::error_code error;
  if (const auto value = boost::json::parse(text, error); !error)
    if (auto read = report_from_json(value)) {
      report = std::move(*read);
      const auto again = report_from_json(to_json(report));
      if (!again || to_json(*again) != to_json(report)) std::abort();
    }

  bool errors = false;
  for (const auto& problem: Policy::check(text, "fuzz"))
    errors = errors || !problem.warning;
  const auto policy = Policy::from_yaml(text, "fuzz");
  if (policy.ok() == errors) std::abort();

  Context context;
  context.path = "folder/model.pkl";
  context.repo = "org/name";
  const Policy guarded = *Policy::preset("guarded");
  const Decision decision = (policy ? *policy : guarded).decide(report, context);
  if (decision.rule.empty() && decision.mode != Mode::off) std::abort();
  if (decision.passes() != decision.blockers.empty()) std::abort();
  return 0;
}
