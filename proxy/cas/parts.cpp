#include "proxy/cas/parts.hpp"

namespace hubgate::proxy {

namespace {

/// The shortest listed range that holds the term's chunks; there is one, or it could not be read.
std::pair<const xet::Fetch*, const xet::FetchRange*>
covering(const xet::Reconstruction& reconstruction, const xet::Term& term) {
  const xet::Fetch* fetch = nullptr;
  const xet::FetchRange* best = nullptr;
  const auto found = reconstruction.fetches.find(term.xorb);
  if (found == reconstruction.fetches.end()) return {nullptr, nullptr};
  for (const auto& one: found->second)
    for (const auto& range: one.ranges) {
      if (range.chunks.begin > term.chunks.begin || term.chunks.end > range.chunks.end) continue;
      if (best != nullptr && best->last - best->first <= range.last - range.first) continue;
      fetch = &one;
      best = &range;
    }
  return {fetch, best};
}

} // namespace

std::vector<CasPart> plan_parts(const xet::Reconstruction& reconstruction) {
  std::vector<CasPart> out;
  for (const auto& term: reconstruction.terms) {
    const auto [fetch, range] = covering(reconstruction, term);
    if (fetch == nullptr) return {};
    const bool goes_on = !out.empty() && out.back().url == fetch->url &&
                         out.back().first == range->first && out.back().last == range->last &&
                         out.back().wanted.back().end <= term.chunks.begin;
    if (!goes_on)
      out.push_back(CasPart{
          fetch->url, range->first, range->last, range->chunks.begin, range->chunks.end, {}});
    out.back().wanted.push_back(term.chunks);
  }
  return out;
}

} // namespace hubgate::proxy
