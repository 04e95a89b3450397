// The operators that PaddlePaddle 2.6.2 registers.
#include "scanner/formats/paddle/op_names.hpp"

#include <algorithm>
#include <array>

namespace hubgate::paddle {
namespace {

// Sorted by byte value, one blank between.
// clang-format off
constexpr std::string_view k_text =
    "abs abs_p accuracy acos acosh adadelta adagrad adam adamax adamw add_act_xpu "
    "add_layernorm_xpu add_p add_position_encoding addcmul_xpu addmm affine_channel affine_grid "
    "all_gather all_reduce all_to_all allclose alloc_float_status alltoall anchor_generator angle "
    "arg_max arg_min argsort array_to_lod_tensor as_complex as_real as_strided asin asinh assert "
    "assign assign_pos assign_value atan atan2 atanh attention_lstm auc average_accumulates "
    "barrier batch_fc batch_norm bce_loss beam_search beam_search_decode bernoulli bernoulli_p "
    "bicubic_interp bicubic_interp_v2 bilateral_slice bilinear_interp bilinear_interp_v2 "
    "bilinear_tensor_product bincount bipartite_match bitwise_and bitwise_not bitwise_or "
    "bitwise_xor block_multihead_attention bmm bn_act_xpu box_clip box_coder "
    "box_decoder_and_assign bpr_loss brelu broadcast broadcast_p broadcast_tensors c_allgather "
    "c_allreduce_max c_allreduce_min c_allreduce_prod c_allreduce_sum c_broadcast c_comm_init "
    "c_comm_init_all c_comm_init_multitrainer c_concat c_embedding c_gen_xccl_id c_identity "
    "c_reduce_max c_reduce_min c_reduce_prod c_reduce_sum c_reducescatter c_scatter "
    "c_softmax_with_cross_entropy c_split c_sync_calc_stream c_sync_comm_stream c_wait_comm "
    "c_wait_compute cast cast_p ceil celu channel_shuffle check_finite_and_unscale "
    "check_memory_continue check_numerics cholesky cholesky_solve chunk_eval class_center_sample "
    "clear_float_status clip clip_by_norm coalesce_tensor collect_fpn_proposals complex concat "
    "concat_p conditional_block conditional_block_infer conj conv1d_xpu conv2d conv2d_transpose "
    "conv2d_transpose_xpu conv2d_xpu conv3d conv3d_transpose copy_cross_scope correlation cos "
    "cos_p cosh create_double_buffer_reader create_py_reader crf_decoding crop crop_tensor cross "
    "cross_entropy cross_entropy2 ctc_align cudnn_lstm cummax cummin cumprod cumsum cvm data "
    "data_norm decayed_adagrad decode_jpeg deformable_conv deformable_conv_v1 "
    "deformable_psroi_pooling delete_var density_prior_box depend depthwise_conv2d "
    "depthwise_conv2d_transpose dequantize dequantize_abs_max dequantize_linear dequantize_log "
    "dequantize_xpu dequeue detection_map determinant dgc_clip_by_norm dgc_momentum diag_embed "
    "diag_v2 diagonal digamma dirichlet dist dist_concat distribute_fpn_proposals "
    "distributed_fused_lamb distributed_fused_lamb_init distributed_lookup_table "
    "distributed_push_sparse div_p dot dpsgd dropout dropout_nd edit_distance eig eigh eigvals "
    "eigvalsh einsum elementwise_add elementwise_div elementwise_floordiv elementwise_fmax "
    "elementwise_fmin elementwise_heaviside elementwise_max elementwise_min elementwise_mod "
    "elementwise_mul elementwise_pow elementwise_sub elu embedding_with_eltwise_add_xpu empty "
    "enqueue eq_p equal equal_all erf erf_p erfinv exp exp_p expand expand_as_v2 expand_v2 expm1 "
    "exponential eye fake_channel_wise_dequantize_max_abs fake_channel_wise_quantize_abs_max "
    "fake_channel_wise_quantize_dequantize_abs_max fake_dequantize_max_abs fake_init "
    "fake_quantize_abs_max fake_quantize_dequantize_abs_max "
    "fake_quantize_dequantize_moving_average_abs_max fake_quantize_moving_average_abs_max "
    "fake_quantize_range_abs_max fast_layernorm_xpu fast_where_xpu faster_tokenizer fc fc_xpu "
    "feed fetch fetch_barrier fetch_v2 fft_c2c fft_c2r fft_r2c fill fill_any fill_any_like "
    "fill_constant fill_constant_batch_size_like fill_constant_p fill_diagonal "
    "fill_diagonal_tensor fill_zeros_like fill_zeros_like2 flash_attn flash_attn_unpadded "
    "flatten2 flatten_contiguous_range flip floor fold frame frobenius_norm fsp ftrl "
    "full_int_array fused_adam fused_bias_act fused_bias_dropout_residual_layer_norm "
    "fused_bias_residual_layernorm fused_conv2d fused_conv2d_add_act fused_conv3d "
    "fused_dconv_drelu_dbn fused_dropout_add fused_elementwise_add fused_elementwise_div "
    "fused_elementwise_mul fused_elementwise_sub fused_elemwise_activation "
    "fused_elemwise_add_activation fused_embedding_eltwise_layernorm fused_embedding_fc_lstm "
    "fused_embedding_seq_pool fused_fc_elementwise_layernorm fused_linear_param_grad_add "
    "fused_matmul fused_multi_transformer_int8_xpu fused_multi_transformer_xpu "
    "fused_rotary_position_embedding fused_scale_bias_add_relu fused_scale_bias_relu_conv_bn "
    "fused_seqpool_cvm fused_softmax_mask fused_softmax_mask_upper_triangle fused_softplus "
    "fused_token_prune fused_transpose fusion_gru fusion_lstm fusion_repeated_fc_relu "
    "fusion_seqconv_eltadd_relu fusion_seqexpand_concat_fc fusion_seqpool_concat "
    "fusion_seqpool_cvm_concat fusion_squared_mat_sub fusion_transpose_flatten_concat gather "
    "gather_nd gather_p gather_tree gaussian_inplace gaussian_random ge_p gelu "
    "generate_mask_labels generate_proposal_labels generate_proposals generate_proposals_v2 "
    "generate_sequence_xpu get_float_status get_places get_tensor_from_selected_rows "
    "global_gather global_scatter grad_add graph_khop_sampler graph_reindex "
    "graph_sample_neighbors graph_send_recv graph_send_ue_recv graph_send_uv greater_equal "
    "greater_than grid_sampler group_norm gru gru_unit gt_p gumbel_softmax hard_shrink "
    "hard_sigmoid hard_swish hash heter_listen_and_serv hierarchical_sigmoid hinge_loss histogram "
    "huber_loss i0 i0e i1 i1e identity_loss im2sequence imag increment index_add index_put "
    "index_sample index_select index_select_strided instance_norm inverse iou_similarity is_empty "
    "isclose isfinite_v2 isinf isinf_v2 isnan isnan_v2 kldiv_loss kron kthvalue l1_norm "
    "label_smooth lamb lars_momentum layer_norm layer_norm_act_xpu leaky_relu lerp less_equal "
    "less_than lgamma limit_by_capacity linear_chain_crf linear_interp linear_interp_v2 linspace "
    "listen_and_serv llm_int8_linear load load_combine locality_aware_nms lod_array_length "
    "lod_rank_table lod_reset lod_tensor_to_array log log10 log1p log2 log_loss log_p log_softmax "
    "logcumsumexp logical_and logical_not logical_or logical_xor logit logsigmoid logspace "
    "logsumexp lookup_table lookup_table_dequant lookup_table_v2 lrn lstm lstsq lu lu_unpack "
    "margin_cross_entropy masked_multihead_attention masked_select match_matrix_tensor matmul "
    "matmul_p matmul_v2 matrix_nms matrix_power matrix_rank max_p max_pool2d_with_index "
    "max_pool3d_with_index max_sequence_len maxout mean memcpy memcpy_d2h memcpy_h2d "
    "memory_efficient_attention merge_lod_tensor merge_lod_tensor_infer merge_selected_rows "
    "merged_adam merged_momentum meshgrid mine_hard_examples minus mish mode modified_huber_loss "
    "moe momentum moving_average_abs_max_scale mp_allreduce_sum mul mul_p multi_dot "
    "multi_encoder_xpu multi_gru multiclass_nms multiclass_nms2 multiclass_nms3 multihead_matmul "
    "multinomial multiplex mv nanmedian nce ne_p nearest_interp nearest_interp_v2 nextafter "
    "nll_loss nms nop norm not_equal npu_identity number_count one_hot_v2 overlap_add p_norm "
    "p_recv p_recv_array p_send p_send_array pad pad2d pad3d partial_allgather partial_concat "
    "partial_recv partial_send partial_sum pixel_shuffle pixel_unshuffle poisson polygamma "
    "polygon_box_transform pool2d pool3d positive_negative_pair pow pow2_decay_with_linear_warmup "
    "pow_p precision_recall prelu print prior_box proximal_gd prune_gate_by_capacity psroi_pool "
    "pull_box_extended_sparse pull_box_sparse pull_gpups_sparse pull_sparse pull_sparse_v2 "
    "push_dense put_along_axis py_func pylayer pyramid_hash qr quant_linear quantize "
    "quantize_linear quantize_xpu queue_generator randint random_routing randperm range "
    "rank_attention rank_loss read read_file read_from_array real reciprocal recurrent recv_v2 "
    "reduce reduce_all reduce_amax reduce_amin reduce_any reduce_max reduce_mean reduce_min "
    "reduce_prod reduce_scatter reduce_sum reduce_sum_p relu relu6 renorm "
    "reorder_lod_tensor_by_rank repeat_interleave requantize reshape reshape2 reshape_p "
    "retinanet_detection_output retinanet_target_assign reverse rms_norm rmsprop rnn roi_align "
    "roi_pool roll round row_conv rpn_target_assign rrelu rsqrt rsqrt_p run_program sampling_id "
    "save save_combine scale scatter scatter_add_p scatter_nd_add searchsorted seed segment_pool "
    "select_input select_output select_p self_dp_attention selu send send_and_recv send_barrier "
    "send_v2 sequence_concat sequence_conv sequence_enumerate sequence_erase sequence_expand "
    "sequence_expand_as sequence_mask sequence_pad sequence_pool sequence_reshape "
    "sequence_reverse sequence_scatter sequence_slice sequence_softmax sequence_unpad set_value "
    "sgd shadow_output shape shard_index share_buffer share_data shrink_rnn_memory shuffle_batch "
    "shuffle_channel sigmoid sigmoid_cross_entropy_with_logits sign silu similarity_focus sin "
    "sin_p sinh size skip_layernorm slice slice_assign_p slice_select_p slogdeterminant soft_relu "
    "softmax softmax_with_cross_entropy softplus softshrink softsign solve sparse_abs sparse_acos "
    "sparse_acosh sparse_add sparse_addmm sparse_asin sparse_asinh sparse_atan sparse_atanh "
    "sparse_batch_norm sparse_cast sparse_coalesce sparse_conv3d sparse_divide "
    "sparse_divide_scalar sparse_expm1 sparse_full_like sparse_fused_attention sparse_indices "
    "sparse_isnan sparse_leaky_relu sparse_log1p sparse_masked_matmul sparse_matmul "
    "sparse_maxpool sparse_momentum sparse_multiply sparse_mv sparse_pow sparse_relu sparse_relu6 "
    "sparse_reshape sparse_scale sparse_sin sparse_sinh sparse_slice sparse_softmax "
    "sparse_sparse_coo_tensor sparse_sqrt sparse_square sparse_subtract sparse_sum "
    "sparse_sync_batch_norm sparse_tan sparse_tanh sparse_to_dense sparse_to_sparse_coo "
    "sparse_to_sparse_csr sparse_transpose sparse_values spectral_norm split split_lod_tensor "
    "split_p spp sqrt sqrt_p square squared_l2_norm squeeze2 squeeze_excitation_block stack stanh "
    "stft strided_slice sub_p sum svd swish take_along_axis tan tanh tanh_p tanh_shrink tdm_child "
    "tdm_sampler teacher_student_sigmoid_loss temporal_shift tensor_array_to_tensor tensor_unfold "
    "thresholded_relu tile top_k top_k_v2 top_p_sampling trace transfer_dtype transfer_layout "
    "transpose transpose2 transpose_p triangular_solve tril_indices tril_triu trilinear_interp "
    "trilinear_interp_v2 triu_indices trunc truncated_gaussian_random unbind unfold "
    "uniform_random uniform_random_batch_size_like uniform_random_inplace uniform_random_p unique "
    "unique_consecutive unique_with_counts unpool unpool3d unsqueeze2 unstack unzip "
    "update_loss_scaling var_conv_2d variable_length_memory_efficient_attention view_dtype "
    "view_shape viterbi_decode warpctc warprnnt weight_dequantize weight_only_linear "
    "weight_quantize weighted_sample_neighbors where where_index while write_to_array yolo_box "
    "yolo_box_xpu yolov3_loss ";
// clang-format on
constexpr std::size_t k_count = 784;

constexpr std::array<std::string_view, k_count> split() {
  std::array<std::string_view, k_count> out{};
  std::size_t at = 0;
  for (auto& name: out) {
    std::size_t end = at;
    while (k_text[end] != ' ')
      ++end;
    name = k_text.substr(at, end - at);
    at = end + 1;
  }
  return out;
}
constexpr auto k_names = split();
static_assert(std::is_sorted(k_names.begin(), k_names.end()));

} // namespace

bool is_registered(std::string_view op) {
  return std::binary_search(k_names.begin(), k_names.end(), op);
}

} // namespace hubgate::paddle
