"""The demand model: fitting, predicting, judging it on periods that it did not see."""
