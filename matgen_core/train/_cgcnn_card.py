def cgcnn_card(*a): return ""
