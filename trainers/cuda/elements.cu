// SPDX-License-Identifier: Apache-2.0
#include "cuda/for_each.h"
#include "trainers/elements.h"
#include "trainers/server_elements.h"

namespace monsoon {
namespace {

const RegisterElement<SetTo> kSetTo;
const RegisterElement<ScaleBy> kScaleBy;
const RegisterElement<AddUpdate> kAddUpdate;
const RegisterElement<AddScaled> kAddScaled;
const RegisterElement<SgdStep> kSgdStep;
const RegisterElement<MomentumStep> kMomentumStep;
const RegisterElement<NesterovStep> kNesterovStep;
const RegisterElement<AdagradStep> kAdagradStep;
const RegisterElement<AdamStep> kAdamStep;
const RegisterElement<AdamWStep> kAdamWStep;
const RegisterElement<LarsStep> kLarsStep;
const RegisterElement<LambDirection> kLambDirection;
const RegisterElement<WayFrom> kWayFrom;
const RegisterElement<WayPerStep> kWayPerStep;
const RegisterElement<MeanWay> kMeanWay;
const RegisterElement<SumGradient> kSumGradient;
const RegisterElement<EamsgdStep> kEamsgdStep;
const RegisterElement<MoveBack> kMoveBack;
const RegisterElement<PullToCenter> kPullToCenter;
const RegisterElement<SendAll> kSendAll;
const RegisterElement<Discounted> kDiscounted;
const RegisterElement<DivideBy> kDivideBy;
const RegisterElement<ForgetLarge> kForgetLarge;
const RegisterElement<ElasticMove> kElasticMove;
const RegisterElement<ElasticDifference> kElasticDifference;
const RegisterElement<FadeByDistance> kFadeByDistance;
const RegisterElement<CompensateDelay> kCompensateDelay;
const RegisterElement<CompensateDelayAdaptively> kCompensateDelayAdaptively;
const RegisterElement<DelayedNesterov> kDelayedNesterov;
const RegisterElement<AddSquare> kAddSquare;
const RegisterElement<MeanSquare> kMeanSquare;
const RegisterElement<YogiSquare> kYogiSquare;
const RegisterElement<FedAdamStep> kFedAdamStep;
const RegisterElement<GemMove> kGemMove;
const RegisterElement<GemMoveWithOwn> kGemMoveWithOwn;

}  // namespace
}  // namespace monsoon
