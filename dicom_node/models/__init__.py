"""Models as an administrator meets them: kept by digest, judged before they are live, chosen, and served."""
