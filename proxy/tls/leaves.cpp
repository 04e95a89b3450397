#include "proxy/tls/leaves.hpp"

namespace hubgate::proxy {

Task<std::shared_ptr<ssl_ctx_st>> Leaves::context_for(std::string host, std::string& error) {
  if (const Leaf* leaf = leaves_.find(host); leaf && Clock::now() < leaf->until)
    co_return leaf->context;
  auto signed_ = co_await loop_.offload([&] { return signer_.sign(host); });
  if (!signed_) {
    error = signed_.error().message;
    co_return nullptr;
  }
  std::vector<x509_st*> chain;
  for (const Certificate& above: chain_)
    chain.push_back(above.get());
  auto context = leaf_context(signed_->get(), signer_.key(), chain);
  if (!context) {
    error = context.error().message;
    co_return nullptr;
  }
  Leaf leaf;
  leaf.context = std::move(*context);
  leaf.until = Clock::now() + std::chrono::seconds(k_leaf_seconds - k_leaf_renewal);
  std::shared_ptr<ssl_ctx_st> out = leaf.context;
  leaves_.put(host, std::move(leaf));
  co_return out;
}

} // namespace hubgate::proxy
