#include "proxy/tls/leaves.hpp"

namespace hubgate::proxy {

namespace {

struct Turn {
  Turn(bool& taken_, Event& ended_) : taken(taken_), ended(ended_) { taken = true; }
  ~Turn() {
    taken = false;
    ended.notify();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  bool& taken;
  Event& ended;
};

} // namespace

Task<Leaves::Answer> Leaves::context_for(std::string host, std::string who) {
  Answer out;
  for (;;) {
    if (const Leaf* leaf = leaves_.find(host); leaf && Clock::now() < leaf->until) {
      out.context = leaf->context;
      co_return out;
    }
    if (!minting_) break;
    co_await minted_.wait(std::chrono::seconds(1));
  }
  if (!names_.take(who, Clock::now())) {
    out.too_many = true;
    out.error = "this client asks for too many hosts";
    co_return out;
  }
  const Turn turn(minting_, minted_);
  out = co_await mint(host);
  co_return out;
}

Task<Leaves::Answer> Leaves::mint(std::string host) {
  Answer out;
  auto signed_ = co_await loop_.offload([&] { return signer_.sign(host); });
  if (!signed_) {
    out.error = signed_.error().message;
    co_return out;
  }
  std::vector<x509_st*> chain;
  for (const Certificate& above: chain_)
    chain.push_back(above.get());
  auto context = leaf_context(signed_->get(), signer_.key(), chain);
  if (!context) {
    out.error = context.error().message;
    co_return out;
  }
  Leaf leaf;
  leaf.context = std::move(*context);
  leaf.until = Clock::now() + std::chrono::seconds(k_leaf_seconds - k_leaf_renewal);
  out.context = leaf.context;
  leaves_.put(host, std::move(leaf));
  co_return out;
}

} // namespace hubgate::proxy
