"""The ready descriptions name each label of the challenge once; its records cannot stand here, so names are listed."""

from pathlib import Path

from kd_rag import config

FOLDER = Path(__file__).resolve().parents[1] / "configs" / "mdsirc"
INTENTS = """
反馈密封性不好 是否好用 是否会生锈 排水方式
包装区别 发货数量 反馈用后症状 商品材质
功效功能 是否易褪色 适用季节 能否调光
版本款型区别 单品推荐 用法用量 控制方式
上市时间 商品规格 信号情况 养护方法
套装推荐 何时上货 气泡
"""
SCENES = """
实物拍摄(含售后) 商品分类选项 商品头图 商品详情页截图
下单过程中出现异常（显示购买失败浮窗） 订单详情页面 支付页面 消费者与客服聊天页面
评论区截图页面 物流页面-物流列表页面 物流页面-物流跟踪页面 物流页面-物流异常页面
退款页面 退货页面 换货页面 购物车页面
店铺页面 活动页面 优惠券领取页面 账单/账户页面
个人信息页面 投诉举报页面 平台介入页面 外部APP截图
其他类别图片
"""


def test_every_label_of_both_tasks_is_described_once():
    """A misspelt label, which stops a run, or one that stays without a description beside others that have one."""
    names = ["base.yaml", "descriptions_intent.yaml", "descriptions_scene.yaml"]
    tasks = config.load([FOLDER / name for name in names]).tasks
    assert (len(INTENTS.split()), len(SCENES.split())) == (23, 25)
    for task, labels in (("intent", INTENTS), ("image_scene", SCENES)):
        found = tasks[task].descriptions
        assert sorted(found) == sorted(labels.split())
        assert len(set(found.values())) == len(labels.split())
        assert tasks[task].instruction.endswith("。"), "the layer adds to the task, and takes nothing away"
